// One line a file of cpp/ops. A test compares it with the folder.
#define LOGITCORE_FAMILIES(X) \
  X(softmax)
