#pragma once

// Inside transport/client/, .cpp files only: includes Cap'n Proto.
#include "transport/client/places.hpp"

#include "transport/gateway/gateway.capnp.h"

#include <capnp/rpc-twoparty.h>

namespace cohort::client_detail {

namespace wire = transport::gateway::wire;

/// Notes when bytes came, and whether some wait to leave.
class heard_stream final : public kj::AsyncIoStream {
public:
  heard_stream(kj::Own<kj::AsyncIoStream> inner, std::shared_ptr<line_use> use) : inner_(kj::mv(inner)), use_(std::move(use)) {}
  kj::Promise<size_t> tryRead(void* buffer, size_t min, size_t max) override {
    return inner_->tryRead(buffer, min, max).then([use = use_](size_t got) {
      use->heard = use->clock.now();
      return got;
    });
  }
  kj::Promise<void> write(const void* buffer, size_t size) override { return counted(inner_->write(buffer, size)); }
  kj::Promise<void> write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces) override { return counted(inner_->write(pieces)); }
  kj::Promise<void> whenWriteDisconnected() override { return inner_->whenWriteDisconnected(); }
  void shutdownWrite() override { inner_->shutdownWrite(); }
  void abortRead() override { inner_->abortRead(); }

private:
  kj::Promise<void> counted(kj::Promise<void> written) {
    ++use_->writes;
    return written.then([use = use_] { --use->writes; });
  }

  kj::Own<kj::AsyncIoStream> inner_;
  std::shared_ptr<line_use> use_;
};

struct wires {
  wires(kj::Own<kj::AsyncIoStream> s, std::shared_ptr<line_use> u, const ::capnp::ReaderOptions& options)
      : use(std::move(u)), stream(kj::heap<heard_stream>(kj::mv(s), use)),
        network(*stream, ::capnp::rpc::twoparty::Side::CLIENT, options), rpc(::capnp::makeRpcClient(network)), gateway(bootstrap()) {}
  wire::Gateway::Client bootstrap() {
    ::capnp::MallocMessageBuilder message(4);
    auto id = message.getRoot<::capnp::rpc::twoparty::VatId>();
    id.setSide(::capnp::rpc::twoparty::Side::SERVER);
    return rpc.bootstrap(id).castAs<wire::Gateway>();
  }
  const std::shared_ptr<line_use> use;
  kj::Own<kj::AsyncIoStream> stream;
  ::capnp::TwoPartyVatNetwork network;
  ::capnp::RpcSystem<::capnp::rpc::twoparty::VatId> rpc;
  wire::Gateway::Client gateway;
};

struct gateway_answer {
  wire::Answer::Reader reader;
};

struct gateway_stream {
  wire::Stream::Client client;
};

inline std::span<const std::byte> bytes_of(::capnp::Data::Reader d) { return {reinterpret_cast<const std::byte*>(d.begin()), d.size()}; }
inline void name_session(wire::Session::Builder out, const session_state& s) {
  out.setIdHigh(s.high);
  out.setIdLow(s.low);
  out.setBirth(s.birth);
}
inline kj::Duration duration_of(std::chrono::milliseconds ms) { return static_cast<std::int64_t>(ms.count()) * kj::MILLISECONDS; }

}  // namespace cohort::client_detail
