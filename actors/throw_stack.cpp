#include "actors/throw_stack.hpp"

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <typeinfo>

namespace cohort::detail {
namespace {

constexpr int frames_max = 32;

thread_local int watched = 0;
thread_local std::array<void*, frames_max> frames;
thread_local int frames_count = 0;

std::string readable(const std::string& line) {
  const auto open = line.find('('), plus = line.find('+', open);
  if (open == std::string::npos || plus == std::string::npos || plus == open + 1) return line;
  int status = 0;
  const auto name = line.substr(open + 1, plus - open - 1);
  std::unique_ptr<char, void (*)(void*)> demangled(abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status), std::free);
  return status == 0 ? demangled.get() + line.substr(plus, line.find(')', plus) - plus) : line;
}

}  // namespace

throw_stack::throw_stack() {
  static const bool loaded = [] {  // the first call loads the unwinder, which takes a millisecond
    std::array<void*, 1> one;
    return ::backtrace(one.data(), 1) >= 0;
  }();
  (void)loaded;
  if (watched++ == 0) frames_count = 0;
}

throw_stack::~throw_stack() { --watched; }

std::vector<void*> throw_stack::newest() { return std::vector<void*>(frames.data(), frames.data() + frames_count); }

std::vector<std::string> throw_stack::describe(const std::vector<void*>& frames) {
  std::vector<std::string> lines;
  if (frames.empty()) return lines;
  std::unique_ptr<char*, void (*)(void*)> symbols(::backtrace_symbols(frames.data(), static_cast<int>(frames.size())), std::free);
  for (std::size_t i = 0; symbols && i < frames.size(); ++i) lines.push_back(readable(symbols.get()[i]));
  return lines;
}

}  // namespace cohort::detail

/// Stands before the C++ library's own __cxa_throw, which it calls. Weak: where that is linked statically, it wins and stacks
/// are empty. Under a label, since the compilers know the function by prototypes that differ.
extern "C" __attribute__((weak, noreturn)) void cohort_noted_throw(void* thrown, std::type_info* type,
                                                                   void (*destroy)(void*)) __asm__("__cxa_throw");
extern "C" void cohort_noted_throw(void* thrown, std::type_info* type, void (*destroy)(void*)) {
  using function = void (*)(void*, std::type_info*, void (*)(void*));
  static const auto next = reinterpret_cast<function>(::dlsym(RTLD_NEXT, "__cxa_throw"));
  using namespace cohort::detail;
  if (watched > 0) {
    std::array<void*, frames_max + 1> all;
    const auto n = ::backtrace(all.data(), frames_max + 1);
    frames_count = n > 0 ? n - 1 : 0;  // without this function
    for (int i = 0; i < frames_count; ++i) frames[i] = all[i + 1];
  }
  if (next) next(thrown, type, destroy);
  std::abort();
}
