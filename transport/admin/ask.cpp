#include "transport/admin/ask.hpp"

#include "admin.capnp.h"

#include <capnp/rpc-twoparty.h>
#include <kj/async-io.h>

#include <stdexcept>

namespace cohort::transport::admin {

answer ask(const std::string& socket, const std::vector<std::string>& words, std::chrono::milliseconds patience) {
  try {
    auto io = kj::setupAsyncIo();
    auto place = io.provider->getNetwork().parseAddress(("unix:" + socket).c_str()).wait(io.waitScope);
    auto stream = place->connect().wait(io.waitScope);
    capnp::TwoPartyClient client(*stream);
    auto request = client.bootstrap().castAs<wire::Admin>().runRequest();
    auto list = request.initWords(static_cast<unsigned>(words.size()));
    for (unsigned i = 0; i < words.size(); ++i) list.set(i, words[i].c_str());
    auto asked = request.send().then([](auto&& r) {
      return answer{r.getCode(), std::string(r.getText().cStr(), r.getText().size())};
    });
    return io.provider->getTimer().timeoutAfter(patience.count() * kj::MILLISECONDS, kj::mv(asked)).wait(io.waitScope);
  } catch (const kj::Exception& e) {
    if (e.getType() == kj::Exception::Type::OVERLOADED)
      throw std::runtime_error("no answer within " + std::to_string(patience.count() / 1000) + " s; what was asked for may still happen");
    throw std::runtime_error("no node answers at " + socket + ": " + e.getDescription().cStr());
  }
}

}  // namespace cohort::transport::admin
