/** Runs a fuzzer in a process of its own, so that its death is seen. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { info } from 'logitcore';

const support = (name: string) => fileURLToPath(new URL(name, import.meta.url));

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
  const script =
    target === 'door'
      ? ['--expose-gc', support('door-fuzz.cjs'), info().binary]
      : ['--import', 'tsx', support('api-fuzz.ts')];
  const args = [...script, String(seed), String(calls)];
  try {
    const { stdout } = await promisify(execFile)(process.execPath, args, {
      env: { ...process.env, ...env },
    });
    return JSON.parse(stdout) as FuzzCounts;
  } catch (error) {
    const { code, signal, stderr } = error as { code?: unknown; signal?: unknown; stderr?: string };
    throw new Error(
      `ended with ${String(signal ?? code)}: ${stderr ?? ''}\nAgain with: node ${args.join(' ')}`,
      { cause: error },
    );
  }
}
