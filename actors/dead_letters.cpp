#include "actors/dead_letters.hpp"

#include "actors/caf_compat.hpp"

#include <cohort/resilient_process.hpp>

#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>

#include <cstring>
#include <future>

namespace cohort::detail {
namespace {

class letter_writer {
public:
  void number(std::uint64_t n) { text({reinterpret_cast<const char*>(&n), sizeof n}, false); }
  void text(std::string_view t, bool with_length = true) {
    if (with_length) number(t.size());
    const auto* first = reinterpret_cast<const std::byte*>(t.data());
    bytes.insert(bytes.end(), first, first + t.size());
  }
  std::vector<std::byte> bytes;
};

class letter_reader {
public:
  explicit letter_reader(std::span<const std::byte> from) : rest_(from) {}
  std::uint64_t number() {
    std::uint64_t n = 0;
    if (take(sizeof n)) std::memcpy(&n, taken_.data(), sizeof n);
    return n;
  }
  std::string text() {
    if (!take(number())) return {};
    return {reinterpret_cast<const char*>(taken_.data()), taken_.size()};
  }
  bool good() const { return good_; }

private:
  bool take(std::uint64_t n) {
    good_ = good_ && n <= rest_.size();
    taken_ = good_ ? rest_.first(n) : std::span<const std::byte>();
    if (good_) rest_ = rest_.subspan(n);
    return good_;
  }
  std::span<const std::byte> rest_, taken_;
  bool good_ = true;
};

/// Nothing if a type in it is unknown to CAF.
std::vector<char> serialised(caf::actor_system& system, const caf::message& content) {
  std::vector<char> bytes;
  if (!cc::writable(system, content)) return bytes;
  try {
    caf::binary_serializer out(system, bytes);
    if (auto error = out(const_cast<caf::message&>(content))) return {};
  } catch (const std::exception&) {
    return {};
  }
  return bytes;
}

}  // namespace

void dead_letters::put(const std::string& path, inbox_item poison, const life_note& how,
                       std::function<void(std::uint64_t)> then) {
  auto content = poison.what->copy_content_to_message();
  const auto body = serialised(system_, content);
  letter_writer w;
  w.number(1);  // of the format
  w.number(static_cast<std::uint64_t>(std::chrono::duration_cast<wall_time>(
    std::chrono::system_clock::now().time_since_epoch()).count()));
  w.text(path);
  w.number(poison.kills);
  w.text(how.cause);
  w.text(how.message);
  w.text({body.data(), body.size()});
  const auto replayed = content.match_elements<resilient_message>() ? content.get_as<resilient_message>(0).letter : 0;
  writer_.post([this, bytes = std::move(w.bytes), content = std::move(content), then = std::move(then), replayed] {
    const auto number = box_->put(bytes);
    if (replayed != 0) box_->drop(replayed);  // this one takes its place
    if (number != 0) {
      std::lock_guard guard(mutex_);
      messages_[number] = content;
      const auto kept = box_->all();
      std::erase_if(messages_, [&](auto& each) { return !kept.contains(each.first); });  // crowded out
    }
    then(number);
  });
}

void dead_letters::keep_in(const std::filesystem::path& file) {
  // On the thread that writes: replicas may have put some aside already.
  writer_.post([this, file] {
    auto kept = std::make_unique<persistence::letter_box>(file);
    std::lock_guard guard(mutex_);
    std::map<std::uint64_t, caf::message> messages;
    for (const auto& [number, bytes] : box_->all())
      if (const auto now = kept->put(bytes); now != 0) messages[now] = messages_[number];
    messages_ = std::move(messages);
    box_ = std::move(kept);
  });
  settle();
}

void dead_letters::settle() const {
  auto done = std::make_shared<std::promise<void>>();
  auto future = done->get_future();
  writer_.post([done] { done->set_value(); });
  future.wait();
}

bool dead_letters::decode(std::span<const std::byte> bytes, dead_letter& out, std::vector<char>* content) {
  letter_reader r(bytes);
  if (r.number() != 1) return false;
  out.time = wall_time(static_cast<std::int64_t>(r.number()));
  out.path = r.text();
  out.kills = static_cast<unsigned>(r.number());
  out.cause = r.text();
  out.message = r.text();
  const auto body = r.text();
  out.replayable = !body.empty();
  if (content) content->assign(body.begin(), body.end());
  return r.good();
}

std::vector<dead_letter> dead_letters::list() const {
  settle();
  std::vector<dead_letter> letters;
  const auto kept = box_->all();
  std::lock_guard guard(mutex_);
  for (auto& [number, bytes] : kept) {
    dead_letter l;
    if (!decode(bytes, l)) l.message = "written by another version of Cohort";
    l.number = number;
    l.replayable = l.replayable || messages_.contains(number);
    letters.push_back(std::move(l));
  }
  return letters;
}

std::optional<caf::message> dead_letters::open(std::uint64_t number, std::string& path, std::string& why) {
  settle();
  const auto kept = box_->all();
  const auto known = kept.find(number);
  dead_letter l;
  std::vector<char> body;
  if (known == kept.end() || !decode(known->second, l, &body)) {
    why = "there is no dead letter " + std::to_string(number);
    return std::nullopt;
  }
  path = l.path;
  {
    std::lock_guard guard(mutex_);
    if (const auto here = messages_.find(number); here != messages_.end()) return here->second;
  }
  caf::message content;
  try {
    caf::binary_deserializer in(system_, body);
    if (!body.empty() && !in(content)) return content;
  } catch (const std::exception&) {
  }
  why = "dead letter " + std::to_string(number) + " is of an earlier start of this node, and its message consists of types "
        "that cannot be read back; drop it";
  return std::nullopt;
}

bool dead_letters::drop(std::uint64_t number) {
  settle();
  {
    std::lock_guard guard(mutex_);
    messages_.erase(number);
  }
  return box_->drop(number);
}

}  // namespace cohort::detail
