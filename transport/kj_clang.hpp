#pragma once

// Included ahead of everything (see meson.build) where Cap'n Proto's headers do not compile by themselves: 0.9.2 compares
// a `const char*` with a kj::StringPtr by the reversed operator== of C++20's first edition. Compilers that follow its
// correction (P2468, clang from 16 on) do not reverse it, because the class has an operator!=, too.

#include <kj/string.h>

namespace kj {
inline bool operator==(const char* a, const StringPtr& b) { return b == StringPtr(a); }
inline bool operator!=(const char* a, const StringPtr& b) { return !(b == StringPtr(a)); }
}  // namespace kj
