#include "actors/discovery.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <unistd.h>

using namespace cohort;
using namespace std::chrono_literals;
namespace files = std::filesystem;

namespace {

// A node n1 of three whose files are the test's; what is proposed and logged is written down.
struct field {
  files::path folder = files::temp_directory_path() / ("cohort-discovery-" + std::to_string(::getpid()));
  std::mutex mutex;
  std::condition_variable more;
  std::map<std::string, std::vector<transport::place>> proposed;
  std::size_t proposals = 0;
  std::unique_ptr<detail::logger> log;
  std::unique_ptr<detail::discovery> found;

  explicit field(std::vector<std::string> names) {
    files::remove_all(folder);
    files::create_directories(folder);
    log = std::make_unique<detail::logger>("n1", "info", (folder / "log").string());
    node_config config;
    config.name = "n1";
    config.members = {{"n1", "discover"}, {"n2", "discover"}, {"n3", "discover"}};
    for (const auto& name : names) config.discover.push_back("file:" + (folder / name).string());
    found = std::make_unique<detail::discovery>(config, std::vector<std::string>{"n1", "n2", "n3"}, *log, [this](const std::string& name, auto places) {
      std::lock_guard guard(mutex);
      proposed[name] = std::move(places);
      ++proposals;
      more.notify_all();
    });
  }
  ~field() {
    found.reset();
    log.reset();
    files::remove_all(folder);
  }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder / "next") << text;
    files::rename(folder / "next", folder / name);
  }
  std::string of(const std::string& name) {
    std::string text;
    for (const auto& p : proposed[name]) text += (text.empty() ? "" : " ") + to_string(p);
    return text;
  }
  bool becomes(const std::string& name, const std::string& text) {
    std::unique_lock lock(mutex);
    return more.wait_for(lock, 5s, [&] { return of(name) == text; });
  }
  bool logs(const std::string& text) {
    for (const auto end = std::chrono::steady_clock::now() + 5s; std::chrono::steady_clock::now() < end;) {
      std::ifstream in(folder / "log");
      const std::string all{std::istreambuf_iterator<char>(in), {}};
      if (all.find(text) != std::string::npos) return true;
      std::this_thread::sleep_for(5ms);
    }
    return false;
  }
};

}  // namespace

TEST_SUITE("discovery") {
  TEST_CASE("what a file says is proposed, and stays while it says nothing that can be used") {
    field f({"a.toml"});
    f.write("a.toml", "[members]\nn1 = \"h:1\"\nn2 = \"h:2\"\nn3 = [\"h:3\", \"srv:_n3._tcp.x\"]\n");
    CHECK(f.becomes("n2", "h:2"));
    CHECK(f.becomes("n3", "h:3 srv:_n3._tcp.x"));
    const auto before = f.proposals;
    f.write("a.toml", "[members]\nn2 = \"h:2\"\nn3 = \"h:");
    CHECK(f.logs("a.toml:3: "));
    f.write("a.toml", "[members]\nn2 = 7\nn3 = [\"h:3\", \"srv:_n3._tcp.x\"]\nn9 = \"h:9\"\n");
    CHECK(f.logs("a.toml:2: member n2 must have text in quotes"));
    CHECK(f.logs("names n9, no member of this cluster"));
    files::remove(f.folder / "a.toml");
    CHECK(f.logs("cannot be read"));
    CHECK(f.of("n2") == "h:2");
    CHECK(f.of("n3") == "h:3 srv:_n3._tcp.x");
    CHECK(f.proposals == before);
    CHECK(f.proposed.count("n1") == 0);  // nobody looks for itself
    CHECK(f.proposed.count("n9") == 0);
    f.write("a.toml", "[members]\nn2 = \"h:22\"\n");
    CHECK(f.becomes("n2", "h:22"));
    CHECK(f.becomes("n3", ""));
  }

  TEST_CASE("a node that is added later is found by what a file says of it, before or after; one that is removed is not") {
    field f({"a.toml"});
    f.write("a.toml", "[members]\nn2 = \"h:2\"\nn4 = \"h:4\"\n");
    CHECK(f.becomes("n2", "h:2"));
    CHECK(f.proposed.count("n4") == 0);
    f.found->nodes_are({"n1", "n2", "n3", "n4", "n5"});
    CHECK(f.becomes("n4", "h:4"));
    f.write("a.toml", "[members]\nn2 = \"h:2\"\nn4 = \"h:44\"\nn5 = \"h:5\"\n");
    CHECK(f.becomes("n4", "h:44"));
    CHECK(f.becomes("n5", "h:5"));
    f.found->nodes_are({"n1", "n2", "n3", "n4"});
    f.write("a.toml", "[members]\nn2 = \"h:2\"\nn4 = \"h:4\"\nn5 = \"h:55\"\n");
    CHECK(f.becomes("n4", "h:4"));
    CHECK(f.of("n5") == "h:5");
  }

  TEST_CASE("several files: what each says counts, and the end of one leaves the other's") {
    field f({"a.toml", "b.toml"});
    f.write("b.toml", "[members]\nn2 = \"b:2\"\n");
    CHECK(f.becomes("n2", "b:2"));
    f.write("a.toml", "[members]\nn2 = \"a:2\"\n");
    CHECK(f.becomes("n2", "a:2 b:2"));
    f.write("b.toml", "[members]\n");
    CHECK(f.becomes("n2", "a:2"));
  }
}
