import { background } from './call.js';

/** The same function off the main thread. Results are bitwise equal; arrays must not be changed or transferred until it settles. */
export function inBackground<P extends unknown[], R>(
  op: (...args: P) => R,
): (...args: P) => Promise<R> {
  return (...args) => background(() => op(...args));
}
