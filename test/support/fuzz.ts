/** Runs a fuzzer in a process of its own, so that its death is seen. */
import { info } from 'logitcore';
import { runScript } from './child.js';

export interface FuzzCounts {
  readonly threw: number;
  readonly ran: number;
}

/** `door`: the addon's own functions. `api`: the public ones and their promise forms. */
export type FuzzTarget = 'door' | 'api';

export async function fuzz(
  target: FuzzTarget,
  seed: number,
  calls: number,
  env: Readonly<Record<string, string>> = {},
): Promise<FuzzCounts> {
  const [script, ...first] = target === 'door' ? ['door-fuzz.cjs', info().binary] : ['api-fuzz.ts'];
  const args = [...first, String(seed), String(calls)];
  const { code, signal, stdout, stderr } = await runScript(script, args, {
    env,
    flags: ['--expose-gc'],
  });
  if (code === 0) return JSON.parse(stdout) as FuzzCounts;
  throw new Error(
    `${script} ${args.join(' ')} (of test/support) ended with ${String(signal ?? code)}: ${stderr}`,
  );
}
