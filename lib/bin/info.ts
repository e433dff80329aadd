import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { info } from '../index.js';

/** What `logitcore info` reports: this machine, and what the library does on it. */
export function machineInfo() {
  const { cuda, ...library } = info();
  return {
    ...library,
    os: `${process.platform} ${release()}`,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    // What this process may use, which a container or an affinity mask can make fewer than the machine has.
    processors: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    cuda,
  };
}

export function infoLines(): string[] {
  const facts = machineInfo();
  const level =
    facts.isa === facts.machineIsa
      ? facts.isa
      : `${facts.isa} (this CPU can run ${facts.machineIsa})`;
  const rows: [string, string][] = [
    ['logitcore', facts.version],
    ['Node.js', `${facts.node} (${facts.platform} ${facts.arch})`],
    ['system', facts.os],
    ['CPU', facts.cpu],
    ['processors', String(facts.processors)],
    ['memory', `${facts.memoryGiB} GiB`],
    ['level', level],
    ['threads', String(facts.threads)],
    ['file', facts.binary],
    [
      'CUDA',
      facts.cuda.available
        ? `${facts.cuda.device ?? 'a device'}, driver for CUDA ${facts.cuda.driver ?? 'unknown'}, ${facts.cuda.binary ?? ''}`
        : `not available: ${facts.cuda.reason ?? ''}`,
    ],
  ];
  return rows.map(([name, value]) => `${name.padEnd(12)}${value}`);
}
