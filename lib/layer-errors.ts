// Errors of the native ops by the names of the layer's methods and arguments.
import { layerName as name } from './layer-options.js';

/** W becomes V where a layer is made. */
export function renamed(method: string, error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const message = error.message.replace(/^sphericalLayer\w+: /, `${name}.${method}: `);
  error.message = method === 'create' ? message.replace(/\bV\b/g, 'W') : message;
  return error;
}

export function named<R>(method: string, run: () => R): R {
  try {
    return run();
  } catch (error) {
    throw renamed(method, error);
  }
}

export const isRefusal = (error: unknown): boolean =>
  error instanceof TypeError || error instanceof RangeError;
