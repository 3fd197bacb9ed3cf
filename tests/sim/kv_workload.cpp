#include "tests/sim/kv_workload.hpp"

#include "samples/kv/store.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>
#include <charconv>
#include <string>

namespace cohort::sim {

namespace {

std::vector<std::byte> command(std::initializer_list<std::string> words) {
  std::vector<std::string_view> argv(words.begin(), words.end());
  return kv::encode_command(argv);
}

std::string key_name(unsigned key) { return "register:" + std::to_string(key); }

/// A bulk string's number, or 0 for null.
std::optional<std::uint64_t> number_in(std::string_view reply) {
  if (reply.starts_with('_')) return 0;
  const auto body = reply.find("\r\n");
  if (!reply.starts_with('$') || body == std::string_view::npos) return std::nullopt;
  std::uint64_t value = 0;
  const auto text = reply.substr(body + 2);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

class kv_workload final : public workload {
public:
  std::unique_ptr<state_machine> make() const override { return std::make_unique<kv::store>(); }
  std::vector<std::byte> write(unsigned key, std::uint64_t value) const override {
    return command({"SET", key_name(key), std::to_string(value)});
  }
  std::vector<std::byte> swap(unsigned key, std::uint64_t value) const override {
    return command({"GETSET", key_name(key), std::to_string(value)});
  }
  std::vector<std::byte> question(unsigned key) const override {
    kv::bytes out;
    const auto name = key_name(key);
    const std::string_view args[] = {name};
    kv::append_command(kv::command_id::get, args, out);
    return out;
  }
  std::vector<std::byte> other(random& chance) const override {
    const auto key = "other:" + std::to_string(chance.below(6));
    const auto field = "f" + std::to_string(chance.below(20));
    const auto draw = chance.below(12);
    const auto number = std::to_string(chance.below(1000));
    switch (draw) {
      case 0: return command({"INCR", "count" + key});
      case 1: return command({"HSET", "hash" + key, field, number});
      case 2: return command({"HDEL", "hash" + key, field});
      case 3: return command({"SET", key, number, "PX", std::to_string(1 + chance.below(3000))});
      case 4: return command({"APPEND", key, number});
      case 5: return command({"DEL", key});
      case 6: return command({"PEXPIRE", "hash" + key, std::to_string(1 + chance.below(5000))});
      case 7: return command({"RENAME", key, "moved" + key});
      case 8: return command({"SETRANGE", key, std::to_string(chance.below(400)), "xyz"});
      case 9: return command({"INCRBYFLOAT", "float" + key, "0.25"});
      case 10: {
        std::vector<std::byte> clock;
        kv::encode_clock(clock);
        return clock;
      }
      default: {
        kv::bytes queued, out;
        const std::string a = "count" + key;
        const std::string_view one[] = {a};
        kv::append_command(kv::command_id::incr, one, queued);
        const std::string_view two[] = {key, number};
        kv::append_command(kv::command_id::set, two, queued);
        kv::encode_transaction({}, queued, 2, out);
        return out;
      }
    }
  }
  std::optional<std::uint64_t> swapped(std::span<const std::byte> reply) const override {
    return number_in({reinterpret_cast<const char*>(reply.data()), reply.size()});
  }
  std::optional<std::uint64_t> answered(std::span<const std::byte> reply) const override {
    kv::answers all;
    if (!kv::decode_answers(reply, all) || all.replies.size() != 1) return std::nullopt;
    return number_in(all.replies.front().reply);
  }
  std::uint64_t digest(const state_machine& machine) const override { return static_cast<const kv::store&>(machine).digest(); }
};

}  // namespace

std::unique_ptr<workload> make_kv_workload() { return std::make_unique<kv_workload>(); }

std::uint64_t record_checksum(std::span<const std::byte> bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace cohort::sim
