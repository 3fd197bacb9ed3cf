// What may come over a link, into the decoder: the input is cut into frames exactly as a link does, so the fuzzer also
// learns lengths. The checksum is put right first, since a hostile peer computes it, too.
//
//   frame_fuzz --seeds=SEEDS CORPUS SEEDS -max_total_time=60
//
// `--seeds` writes valid frames of every kind into the folder SEEDS first. Folders that do not exist are made.
#include "transport/checksum.hpp"
#include "transport/codec.hpp"
#include "transport/compression.hpp"
#include "transport/hello.hpp"
#include "transport/nodes.hpp"
#include "transport_samples.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

using namespace cohort;
using namespace cohort::transport;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void use(const protocol::payload& p) {
  std::uint64_t bytes = 0, sum = 0;
  for (const auto s : p.sizes) bytes += s;
  require(bytes == p.blob.size());
  for (const auto b : p.blob) sum += static_cast<std::uint64_t>(b);
  volatile auto sink = sum;
  (void)sink;
}

// What was accepted can be sent again, and then is accepted again: decoding let nothing through that cannot be.
void again(const decoded& d) {
  static encoder e(member_id{3});
  const auto f = e.encode(d.group, d.what);
  if (!f) return;  // larger when laid out our way
  std::vector<decoded> out;
  require(decode(f.bytes, nullptr, {}, out) == decode_status::ok);
  require(out.size() == 1 && transport_samples::same(out[0].what, d.what));
}

void write_seeds(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  transport_samples::generator r(11);
  encoder e(member_id{3});
  int number = 0;
  const auto write = [&](const frame& f) {
    std::ofstream out(folder / ("seed-" + std::to_string(number++)), std::ios::binary);
    out.write(reinterpret_cast<const char*>(f.bytes.data()), static_cast<std::streamsize>(f.bytes.size()));
    require(static_cast<bool>(out));
  };
  for (std::size_t kind = 0; kind < std::variant_size_v<protocol::message>; ++kind)
    for (int i = 0; i < 4; ++i) write(e.encode(1, transport_samples::draw(kind, r)));
  frame_packer packer(std::make_shared<block_pool>());
  const auto repeated = transport_samples::make_payload({std::string(4000, 'x'), std::string(300, 'y')});
  write(packer.pack(e.encode(1, protocol::batch{1, 0, 1, 0, repeated})));
  hello h;
  h.name = "n1";
  h.member = member_id{0};
  h.founders = {{member_id{0}, "n1", "127.0.0.1:7001"}, {member_id{1}, "n2", "127.0.0.1:7002"}};
  h.groups = {{1, "g", 2, 3, true}};
  write(encode_hello(h));
  write(encode_question("n4"));
  cluster_nodes c{"shop", 1, h.founders, {3, 2, {}}};
  for (const auto& f : h.founders) c.nodes.nodes.push_back({f.member, f.name, f.where, true});
  c.nodes.nodes.push_back({member_id{2}, "n3", "srv:_n3._tcp.example.org", false});
  write(encode_nodes(member_id{0}, c));
  write(encode_refusal(member_id{1}, {refuse_code::founders, "node n2 has n3 = a, this node has n3 = b"}));
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  int kept = 1;
  for (int i = 1; i < *argc; ++i) {
    const std::string argument = (*argv)[i];
    if (argument.starts_with("--seeds=")) {
      write_seeds(argument.substr(8));
      continue;  // libFuzzer does not know it
    }
    if (!argument.starts_with("-") && !std::filesystem::exists(argument)) std::filesystem::create_directories(argument);
    (*argv)[kept++] = (*argv)[i];
  }
  *argc = kept;
  (*argv)[kept] = nullptr;
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto words = std::make_unique<std::uint64_t[]>(size / 8 + 1);
  std::span<std::byte> rest(reinterpret_cast<std::byte*>(words.get()), size);
  if (size > 0) std::memcpy(rest.data(), data, size);
  codec_limits limits;
  limits.frame_bytes_max = 1 << 20;
  std::vector<decoded> out;
  for (;;) {
    frame_header head;
    if (read_header(rest, limits.frame_bytes_max, head) != header_status::ok || head.length > rest.size()) return 0;
    auto bytes = std::span<const std::byte>(rest.first(head.length));
    const auto writable = rest.first(head.length);
    rest = rest.subspan(head.length);
    const auto check = static_cast<std::uint32_t>(checksum(bytes.subspan(8), head.length));
    std::memcpy(writable.data() + 4, &check, 4);
    require(frame_intact(bytes));
    out.clear();
    std::string why;
    static frame_unpacker unpacker(std::make_shared<block_pool>());
    frame plain;
    if (head.flags & packed_flag) {
      plain = unpacker.unpack(bytes, limits.frame_bytes_max, why);
      require(static_cast<bool>(plain) || !why.empty());
      if (!plain) continue;
      require(plain.bytes.size() <= limits.frame_bytes_max);
      bytes = plain.bytes;
    }
    const auto status = decode(bytes, nullptr, limits, out, &why);
    require((status == decode_status::ok) == !out.empty() || head.type == frame_type::ack_set);
    require(status != decode_status::malformed || !why.empty());
    for (const auto& d : out) {
      if (const auto* b = std::get_if<protocol::batch>(&d.what)) use(b->what);
      if (const auto* c = std::get_if<protocol::chunk>(&d.what)) use(c->data);
      again(d);
    }
    if (head.type == frame_type::hello) {
      hello h, self;
      self.name = "n9";
      self.member = member_id{9};
      if (decode_hello(bytes, h, why)) (void)compare(self, h);
    }
    if (head.type == frame_type::ask_nodes) (void)decode_question(bytes, why);
    if (head.type == frame_type::nodes) {
      cluster_nodes c, same;
      if (decode_nodes(bytes, c, why)) {
        const auto f = encode_nodes(member_id{0}, c);
        require(!f || (decode_nodes(f.bytes, same, why) && same.nodes == c.nodes && same.founders == c.founders));
      }
    }
    if (head.type == frame_type::hosted) {
      hosted news, same;
      if (decode_hosted(bytes, news, why)) {
        const auto f = encode_hosted(member_id{0}, news);
        require(!f || (decode_hosted(f.bytes, same, why) && same.dropped == news.dropped && same.added.size() == news.added.size()));
      }
    }
    if (head.type == frame_type::refuse) {
      refusal r;
      (void)decode_refusal(bytes, r, why);
    }
  }
}
