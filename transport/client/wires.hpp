#pragma once

// Inside transport/client/, .cpp files only: includes Cap'n Proto.
#include "transport/client/places.hpp"

#include "transport/gateway/gateway.capnp.h"

#include <capnp/rpc-twoparty.h>

namespace cohort::client_detail {

namespace wire = transport::gateway::wire;

struct wires {
  wires(kj::Own<kj::AsyncIoStream> s, const ::capnp::ReaderOptions& options)
      : stream(kj::mv(s)), network(*stream, ::capnp::rpc::twoparty::Side::CLIENT, options), rpc(::capnp::makeRpcClient(network)),
        gateway(bootstrap()) {}
  wire::Gateway::Client bootstrap() {
    ::capnp::MallocMessageBuilder message(4);
    auto id = message.getRoot<::capnp::rpc::twoparty::VatId>();
    id.setSide(::capnp::rpc::twoparty::Side::SERVER);
    return rpc.bootstrap(id).castAs<wire::Gateway>();
  }
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
inline kj::Duration duration_of(std::chrono::milliseconds ms) { return static_cast<std::int64_t>(ms.count()) * kj::MILLISECONDS; }

}  // namespace cohort::client_detail
