import { info } from 'logitcore';

const chain = info().machineIsa === 'neon' ? ['neon'] : ['avx512', 'avx2', 'portable'];

/** The levels of this machine, best first. LOGITCORE_ISA caps a level, so lower ones are always there. */
export const levels: readonly string[] = chain.slice(Math.max(0, chain.indexOf(info().machineIsa)));
