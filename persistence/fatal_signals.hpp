#pragma once

#include <cstdint>

/// By which signal a process ends, and in which thread: noted in memory that outlives it. Signals belong to the whole process,
/// so this does, too.
namespace cohort::persistence {

/// From here on SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGABRT are noted before they do what they do by default, a core dump
/// included. One of which the program, or a sanitizer, has a handler already is left alone. Any number of times.
void watch_fatal_signals();

/// Where a signal that strikes this thread is noted, null: nowhere of its own; returns the former place. The first call in a
/// thread gives it a stack of its own for signals, so that one that has used up its stack is noted as well.
std::uint32_t* note_own_signal_at(std::uint32_t* where) noexcept;

/// Where a signal is noted that strikes a thread which has no place of its own. Up to 8 places; more are not noted.
void note_other_signals_at(std::uint32_t* where) noexcept;
void forget_place(std::uint32_t* where) noexcept;

}  // namespace cohort::persistence
