#include "persistence/fatal_signals.hpp"
#include "persistence/last_words.hpp"
#include "tests/unit/lone_file.hpp"

#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>

using namespace cohort::persistence;

namespace {

struct folder : samples::lone_file {
  folder() : lone_file("last_words") {}
};

last_words_found read(const std::string& bytes) { return read_last_words(std::as_bytes(std::span(bytes))); }

spoken_word word(std::string_view body, std::uint64_t number = 7) {
  return {.kind = word_kind::input,
          .process = "till",
          .from = "customer",
          .number = number,
          .position = 12,
          .activation = 3,
          .identity = 99,
          .body = std::as_bytes(std::span(body))};
}

int dive(volatile int* depth) {
  volatile int room[1000];
  room[0] = *depth + 1;
  if (room[0] < 0) return 0;
  return dive(room) + room[0];
}

/// What a process that does this and ends within it leaves. It is not ours: nothing of the tests' process is ended with
/// it.
template <class Last>
void last_of_a_process(const folder& at, Last last) {
  const auto child = ::fork();
  if (child == 0) {
    last_words words(at.file());
    words.noted();
    last(words);
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
}

}  // namespace

TEST_SUITE("last words") {
  TEST_CASE("what is executed when the process ends is there at the next start, and what was executed before is not") {
    folder at;
    last_of_a_process(at, [](last_words& words) {
      last_words::speaker one(&words);
      one.begins(word("first", 1));
      one.ends();
      one.begins(word("second", 2));
      last_words::speaker inner(&words);
      inner.begins(word("within", 3));
      ::raise(SIGKILL);
    });
    {
      last_words next(at.file());
      CHECK(next.trouble() == "");
      REQUIRE(next.found().words.size() == 2);
      CHECK(next.found().torn == 0);
      std::set<std::uint64_t> numbers;
      for (const auto& w : next.found().words) {
        numbers.insert(w.number);
        CHECK(w.kind == word_kind::input);
        CHECK(w.process == "till");
        CHECK(w.from == "customer");
        CHECK(w.position == 12);
        CHECK(w.activation == 3);
        CHECK(w.identity == 99);
        CHECK(w.body_bytes == 6);
        CHECK(w.excerpt == (w.number == 2 ? "second" : "within"));
        CHECK(w.id[0] != 0);
      }
      CHECK(numbers == std::set<std::uint64_t>{2, 3});
    }
    {
      last_words again(at.file());  // nobody has noted it: it is told once more, under the same identity
      CHECK(again.found().words.size() == 2);
      again.noted();
    }
    last_words after(at.file());
    CHECK(after.found().words.empty());
    CHECK(after.found().torn == 0);
  }

  TEST_CASE("who is known to have ended the process is suspected alone") {
    folder at;
    // In each: one thread executes 1 and lives, this one executes 2 and does as told.
    const auto ends = [&](auto how, bool speaks) {
      last_of_a_process(at, [&](last_words& words) {
        for (const int signal : {SIGSEGV, SIGABRT}) std::signal(signal, SIG_DFL);  // as in a program that is no test
        watch_fatal_signals();
        std::atomic<bool> other{false};
        std::thread([&] {
          last_words::speaker one(&words);
          one.begins(word("lives", 1));
          other = true;
          ::pause();
        }).detach();
        while (!other) std::this_thread::yield();
        last_words::speaker two(&words);
        if (speaks) two.begins(word("ends it", 2));
        if (speaks) return how();
        std::thread(how).join();
      });
      std::optional<last_words> next;  // a process forked by the dead one may hold on to the file for another moment
      for (int i = 0; i < 1000 && (!next || next->trouble() != ""); ++i) {
        if (next) std::this_thread::sleep_for(std::chrono::milliseconds(5));
        next.emplace(at.file());
      }
      std::string text = std::to_string(next->found().signal) + ":";
      std::set<std::string> words;
      for (const auto& w : next->found().words)
        words.insert(" " + std::to_string(w.number) + "/" + std::to_string(w.signal) +
                     (is_suspect(w, next->found()) ? "!" : ""));
      for (const auto& w : words) text += w;
      next->noted();
      return text;
    };
    const auto abort = [] { std::abort(); };
    const auto crash = [] {
      volatile std::uintptr_t nowhere = 16;
      *reinterpret_cast<volatile int*>(nowhere) = 1;
    };
    const auto exit = [] { ::_exit(1); };
    const auto killed = [] {
      if (::fork() == 0) ::_exit(::kill(::getppid(), SIGABRT));
      ::pause();
    };
    CHECK(ends(abort, true) == "0: 1/0 2/6!");
    CHECK(ends(crash, true) == "0: 1/0 2/11!");
    CHECK(ends(abort, false) == "6: 1/0");
    CHECK(ends(exit, true) == "0: 1/0! 2/0!");
    CHECK(ends(killed, true) == "0: 1/0! 2/0!");  // by somebody who does not say why
    CHECK(ends([] { ::raise(SIGKILL); }, false) == "0: 1/0!");
  }

  TEST_CASE("a stack that is used up is noted as well") {
    folder at;
    last_of_a_process(at, [](last_words& words) {
      std::signal(SIGSEGV, SIG_DFL);
      watch_fatal_signals();
      std::thread([&] {
        last_words::speaker one(&words);
        one.begins(word("deep"));
        volatile int depth = 0;
        dive(&depth);
      }).join();
    });
    const last_words next(at.file());
    REQUIRE(next.found().words.size() == 1);
    CHECK(next.found().words[0].signal == SIGSEGV);
  }

  TEST_CASE("an end is told under an identity of its own") {
    folder at;
    std::set<std::array<std::uint64_t, 3>> seen;
    for (int i = 0; i < 3; ++i) {
      last_of_a_process(at, [](last_words& words) {
        last_words::speaker one(&words);
        one.begins(word("same"));
        ::raise(SIGKILL);
      });
      REQUIRE(last_words(at.file()).found().words.size() == 1);
      seen.insert(last_words(at.file()).found().words.at(0).id);
    }
    CHECK(seen.size() == 3);
  }

  TEST_CASE("texts are cut off, not the process") {
    folder at;
    const std::string large(100'000, 'x');
    {
      last_words words(at.file());
      words.noted();
      last_words::speaker one(&words);
      auto w = word(large);
      w.process = w.from = large;
      one.begins(w);
      const auto found = read(at.content());
      REQUIRE(found.words.size() == 1);
      CHECK(found.words[0].process == large.substr(0, last_words::name_bytes));
      CHECK(found.words[0].from == large.substr(0, last_words::name_bytes));
      CHECK(found.words[0].excerpt == large.substr(0, last_words::excerpt_bytes));
      CHECK(found.words[0].body_bytes == large.size());
    }
    CHECK(read(at.content()).words.empty());  // the speaker is gone, and what it said
  }

  TEST_CASE("of several that are executed in one go, the one is named that was executed") {
    folder at;
    last_words words(at.file());
    words.noted();
    last_words::speaker one(&words);
    auto w = word("batch");
    w.position = 100;
    w.count = 10;
    one.begins(w);
    CHECK(read(at.content()).words.at(0).position == 100);
    one.at(107);
    CHECK(read(at.content()).words.at(0).position == 107);
    CHECK(read(at.content()).words.at(0).first == 100);
    one.at(110);  // none of them: a page that is half of another time
    CHECK(read(at.content()).words.at(0).position == 100);
  }

  TEST_CASE("threads have slots of their own; when all are taken, who comes then says nothing") {
    folder at;
    last_words words(at.file());
    words.noted();
    std::vector<std::unique_ptr<last_words::speaker>> speakers;
    for (std::size_t i = 0; i < last_words::slots + 3; ++i) {
      speakers.push_back(std::make_unique<last_words::speaker>(&words));
      speakers.back()->begins(word("x", i + 1));
    }
    CHECK(read(at.content()).words.size() == last_words::slots);
    speakers.erase(speakers.begin());
    last_words::speaker late(&words);
    late.begins(word("late", 1000));
    std::set<std::uint64_t> numbers;
    for (const auto& w : read(at.content()).words) numbers.insert(w.number);
    CHECK(numbers.contains(1000));
    CHECK_FALSE(numbers.contains(1));
    while (!speakers.empty()) speakers.pop_back();

    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t)
      threads.emplace_back([&words, t] {
        for (std::uint64_t i = 0; i < 2000; ++i) {
          last_words::speaker one(&words);
          one.begins(word("thread", static_cast<std::uint64_t>(t) * 10'000 + i));
        }
      });
    for (auto& t : threads) t.join();
    late.ends();
    CHECK(read(at.content()).words.empty());
  }

  TEST_CASE("torn anywhere, a slot is believed whole or not at all") {
    folder at;
    std::string before, after;
    {
      last_words words(at.file());
      words.noted();
      last_words::speaker one(&words);
      one.begins(word("the input before this one", 1));
      before = at.content();
      one.begins(word("and the next", 2));
      after = at.content();
    }
    REQUIRE(before.size() == after.size());
    std::size_t torn = 0;
    for (std::size_t cut = 0; cut <= after.size(); ++cut) {
      const auto found = read(after.substr(0, cut) + before.substr(cut));
      REQUIRE(found.words.size() + found.torn <= 1);
      torn += found.torn;
      if (!found.words.empty()) {
        const auto& w = found.words[0];
        CHECK(((w.number == 1 && w.excerpt == "the input before this one") ||
               (w.number == 2 && w.excerpt == "and the next")));
      }
    }
    CHECK(torn > 0);
  }

  TEST_CASE("hostile bytes: nothing is read beyond them, and nothing unsound is believed") {
    folder at;
    std::string sound;
    {
      last_words words(at.file());
      words.noted();
      last_words::speaker one(&words);
      one.begins(word("sound"));
      sound = at.content();
    }
    std::mt19937_64 chance(7);
    for (int i = 0; i < 5000; ++i) {
      auto bytes = sound;
      for (int changes = 1 + static_cast<int>(chance() % 8); changes > 0; --changes)
        bytes[chance() % bytes.size()] = static_cast<char>(chance());
      for (const auto& w : read(bytes).words) {
        CHECK(w.process == "till");
        CHECK(w.excerpt == "sound");
      }
    }
    for (std::size_t length = 9; length < sound.size(); length += 97) CHECK(read(sound.substr(0, length)).foreign);
    CHECK(read(std::string(sound.size(), '\xff')).foreign);
    CHECK_FALSE(read(std::string(sound.size(), '\0')).foreign);  // a file that was made and not begun
    CHECK(read(sound + "x").foreign);
    CHECK_FALSE(read("").foreign);
    at.write("of somebody else");
    last_words words(at.file());
    CHECK(words.found().foreign);
    CHECK(words.trouble() == "");
    last_words::speaker one(&words);
    one.begins(word("goes on"));
    CHECK(read(at.content()).words.size() == 1);
  }

  TEST_CASE("a file that cannot be had is told of, and all else goes on") {
    folder at;
    last_words none(at.directory() / "absent" / "last_words");
    CHECK(none.trouble().find("cannot be opened") != std::string::npos);
    last_words::speaker one(&none);
    one.begins(word("nobody hears it"));
    one.ends();
    none.noted();
    last_words first(at.file());
    CHECK_FALSE(first.in_use());
    last_words second(at.file());
    CHECK(second.in_use());
    CHECK(second.trouble().find("is in use") != std::string::npos);
    last_words::speaker two(nullptr);
    two.begins(word("nobody hears it"));
  }
}
