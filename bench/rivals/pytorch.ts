/**
 * PyTorch on the CPU, in a child process of the Python that `LOGITCORE_BENCH_PYTHON` names. The child measures by its
 * own clock, so the conversation is not part of the times. Without the variable PyTorch is not run.
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { topKSize, type HeadlineName } from '../shapes.js';
import type { HeadlineInputs } from '../inputs.js';
import type { Contestant, Results } from '../measure.js';

const script = fileURLToPath(new URL('../pytorch_bench.py', import.meta.url));

interface Answer {
  error?: string;
  ns?: number;
  results?: Record<string, string>;
  version?: string;
}

class PyTorch {
  version: string | undefined;
  private readonly folder = mkdtempSync(path.join(tmpdir(), 'logitcore-bench-'));
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly lines: AsyncIterator<string>;

  constructor(python: string) {
    this.child = spawn(python, [script], { stdio: 'pipe' });
    this.child.on('error', () => undefined); // the missing answer is reported
    this.child.stdin.on('error', () => undefined);
    this.child.stderr.resume();
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  async ask(request: object): Promise<Answer> {
    this.child.stdin.write(`${JSON.stringify(request)}\n`);
    const line = await this.lines.next();
    if (line.done) throw new Error('the Python process ended (has it torch?)');
    const answer = JSON.parse(line.value) as Answer;
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }

  async prepare(op: HeadlineName, inputs: HeadlineInputs): Promise<Results> {
    const files: Record<string, string> = {};
    for (const name of ['logits', 'teacher', 'targets'] as const) {
      files[name] = path.join(this.folder, `${name}.bin`);
      writeFileSync(files[name], inputs[name]);
    }
    const { rows, columns } = inputs;
    const k = topKSize(columns);
    const answer = await this.ask({ prepare: op, rows, columns, k, files, out: this.folder });
    this.version = answer.version;
    return Object.fromEntries(
      Object.entries(answer.results ?? {}).map(([name, file]) => {
        const bytes = readFileSync(file);
        return [
          name,
          new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)),
        ];
      }),
    );
  }

  end(): void {
    this.child.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

let torch: PyTorch | undefined;

export function pythonCommand(): string | undefined {
  const command = process.env.LOGITCORE_BENCH_PYTHON;
  return command === '' ? undefined : command;
}

export const pytorchVersion = (): string | undefined => torch?.version;

export function endPyTorch(): void {
  torch?.end();
  torch = undefined;
}

export async function pytorchContestants(
  op: HeadlineName,
  inputs: HeadlineInputs,
  threads: readonly number[],
): Promise<Contestant[]> {
  const python = pythonCommand();
  if (python === undefined) return [];
  torch ??= new PyTorch(python);
  const child = torch;
  const results = await child.prepare(op, inputs);
  return threads.flatMap((count) =>
    (['op', 'whole'] as const).map((trip): Contestant => ({
      name: 'pytorch',
      threads: count,
      trip,
      async: true,
      run: () => child.ask({ run: trip, threads: count }),
      results: () => results,
    })),
  );
}
