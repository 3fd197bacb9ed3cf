// What must not compile: compiled by refused_types.py once without a case, which has to succeed, and once for each case, which
// has to fail with the text behind it.
#include <cohort/node.hpp>
#include <cohort/typed_port.hpp>

#include <cstddef>
#include <span>

using namespace cohort;

using causal = static_contract<order::causal>;
using mixed = static_contract<order::causal, order::total>;
using total = static_contract<order::total>;

static_assert(causal().get().reads == reads::local);
static_assert(mixed().get().default_order == order::causal);
static_assert(mixed().reading<reads::lease>().get().reads == reads::lease);
static_assert(total().with(durability::in_memory).get().durability == durability::in_memory);
static_assert(total().replicating().participating().get().action_participant);
static_assert(contract::multicast(order::fifo).with(order::total).orders == order_set{order::fifo, order::total});

struct machine final : state_machine {
  void apply(const delivery&, reply&) override {}
  void checkpoint(sink&) const override {}
  void restore(source&) override {}
};

void good(node& here, typed_port<mixed>& port, typed_port<causal>& rumours, std::span<const std::byte> bytes) {
  port.submit(bytes, 1);
  port.submit<order::total>(bytes, 1);
  port.query<reads::linearizable>(bytes, 2);
  rumours.query<reads::local>(bytes, 3);
  here.replicate<machine>("ledger", total().with(&contract::witnesses, 1u));
  here.replicate<machine>("plain");
  typed_port<mixed> opened = here.port("room", mixed());
  opened.flush();
}

#if REFUSED == 1  // linearizable and lease reads need the total order
constexpr auto wrong = causal().reading<reads::linearizable>();
#elif REFUSED == 2  // linearizable and lease reads need the total order
constexpr auto wrong = static_contract<order::safe_causal, order::safe_fifo>().reading<reads::lease>();
#elif REFUSED == 3  // linearizable and lease reads need the total order
void wrong(typed_port<causal>& port, std::span<const std::byte> bytes) { port.query<reads::linearizable>(bytes, 1); }
#elif REFUSED == 4  // a replicated object needs the total order
constexpr auto wrong = mixed().replicating();
#elif REFUSED == 5  // a replicated object needs the total order
void wrong(node& here) { here.replicate<machine>("rumours", causal()); }
#elif REFUSED == 6  // a participant of atomic actions needs the total order
constexpr auto wrong = causal().participating();
#elif REFUSED == 7  // the orders of a static_contract are its type's
constexpr auto wrong = causal().with(&contract::orders, order_set{order::total});
#elif REFUSED == 8  // reading<reads::linearizable>
constexpr auto wrong = causal().with(&contract::reads, reads::linearizable);
#elif REFUSED == 9  // static_contract
static_contract<> wrong;
#elif REFUSED == 10  // the group takes no message in this order
void wrong(typed_port<mixed>& port, std::span<const std::byte> bytes) { port.submit<order::fifo>(bytes, 1); }
#endif
