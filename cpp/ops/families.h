// One line a file of cpp/ops. A test compares it with the folder.
#define LOGITCORE_FAMILIES(X) \
  X(softmax)                  \
  X(divergence)               \
  X(binary)                   \
  X(selection)                \
  X(spherical)                \
  X(factored)                 \
  X(stablemax)                \
  X(normalization)            \
  X(monitors)                 \
  X(optimizer)                \
  X(radius)                   \
  X(lineprobe)                \
  X(perceptron)               \
  X(minillm)                  \
  X(alignment)                \
  X(quantization)             \
  X(ranking)                  \
  X(gw)                       \
  X(uld)                      \
  X(transport)                \
  X(gld)                      \
  X(distillation)             \
  X(heads)                    \
  X(matrix)
