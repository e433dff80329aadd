// By family, as the ops of the host are. A test compares them with the records of the addon.
export * from './ops/alignment.js';
export * from './ops/binary.js';
export * from './ops/distillation.js';
export * from './ops/divergence.js';
export * from './ops/heads.js';
export * from './ops/matrix.js';
export * from './ops/minillm.js';
export * from './ops/monitors.js';
export * from './ops/normalization.js';
export * from './ops/optimizer.js';
export * from './ops/perceptron.js';
export * from './ops/quantization.js';
export * from './ops/radius.js';
export * from './ops/selection.js';
export * from './ops/softmax.js';
export * from './ops/spherical.js';
export * from './ops/stablemax.js';
