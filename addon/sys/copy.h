// The content of one file into another.
#pragma once

#include "sys/result.h"

namespace sys {

// `to`, which is empty, holds what `from` holds. Shares the blocks where the file system can, else copies in the
// kernel; holes stay holes. Both offsets are anywhere afterwards. The error has the step "copy" and no path.
Result<void> copy_content(int from, int to);

}  // namespace sys
