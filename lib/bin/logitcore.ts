#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command } from 'commander';

const json = ['--json', 'print JSON'] as const;
const manifest = new URL('../../package.json', import.meta.url);
const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };

const program = new Command('logitcore')
  .description('SIMD kernels for computations on logits')
  .version(version);

// The library is imported inside the commands: `--help` works where the addon does not load.
program
  .command('info')
  .description('print the version, this machine, the instruction level and the addon file in use')
  .option(...json)
  .action(async (options: { json?: true }) => {
    const { infoLines, machineInfo } = await import('./info.js');
    console.log(options.json ? JSON.stringify(machineInfo(), null, 2) : infoLines().join('\n'));
  });

program
  .command('bench')
  .description('time the main operations on this machine against a memory copy')
  .option(...json)
  .action(async (options: { json?: true }) => {
    const { benchLines, benchRows } = await import('./bench.js');
    const rows = await benchRows();
    console.log(options.json ? JSON.stringify(rows, null, 2) : benchLines(rows).join('\n'));
  });

try {
  await program.parseAsync();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
