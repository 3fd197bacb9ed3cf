#include "actors/catalogue_desk.hpp"

#include <chrono>
#include <thread>

namespace cohort::detail {
namespace {

using namespace std::chrono_literals;

constexpr auto patience = 8s;
constexpr auto again_after = 50ms;

}  // namespace

std::shared_ptr<group_entry> catalogue_entry(const transport::cluster_nodes& founders, std::shared_ptr<known_nodes> nodes) {
  catalogue::node_table first;
  first.founders = founders.founders.size();
  for (const auto& f : founders.founders) first.nodes.push_back({f.member, f.name, f.where, true});
  auto entry = std::make_shared<group_entry>();
  entry->name = catalogue_group;
  entry->how.replication = replication::active;
  entry->make_machine = [first = std::move(first), nodes = std::move(nodes)] {
    return std::make_unique<catalogue::machine>(first, [nodes](const catalogue::node_table& now) { nodes->update(now); });
  };
  return entry;
}

std::future<change_result> catalogue_desk::ask(catalogue::command what) {
  auto answer = std::make_shared<std::promise<change_result>>();
  auto future = answer->get_future();
  worker_.post([this, what = std::move(what), answer] { answer->set_value(carry_out(what)); });
  return future;
}

/// A command may be carried out twice without harm, so one whose outcome is unknown is given again.
change_result catalogue_desk::carry_out(const catalogue::command& what) {
  const auto end = std::chrono::steady_clock::now() + patience;
  const auto message = catalogue::encode(what);
  auto port = open_();
  completion_batch done;
  std::string why = "no quorum of the cluster's nodes could be asked";
  while (!ending_.load(std::memory_order_relaxed) && std::chrono::steady_clock::now() < end) {
    port.submit(message, 1);
    port.flush();
    while (!port.take(done)) std::this_thread::sleep_for(2ms);  // each is answered, also when the node stops
    catalogue::verdict v;
    if (done[0].outcome == outcome::replied && catalogue::decode(done[0].reply, v)) return {v.done, v.why};
    why = std::string("the catalogue did not answer: ") + to_string(done[0].outcome);
    std::this_thread::sleep_for(again_after);
  }
  return {false, why};
}

}  // namespace cohort::detail
