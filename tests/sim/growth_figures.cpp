#include "tests/sim/growth_figures.hpp"

#include "framework/simulation/world.hpp"
#include "tests/sim/kv_workload.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <fstream>

namespace cohort::sim {

using namespace protocol;
using namespace std::chrono_literals;

namespace {

constexpr unsigned sizes[] = {3, 5, 7, 9, 12, 16, 24, 32, 48, 64};

struct point {
  unsigned members = 0;
  double sent = 0;        ///< messages between members for one multicast
  double sent_safe = 0;   ///< the same in a group that takes safe orders, too
  double processor = 0;   ///< microseconds for one multicast and member, simulator included
  double idle = 0;        ///< messages between members per heartbeat and member, nothing going on
  double leave = 0;       ///< milliseconds: from the request of a member to leave until all others have the view without it
  double leave_sent = 0;  ///< messages between members for that, per member
  double death = 0;       ///< milliseconds: from the end of a process until all others have the view without it
  double join = 0;        ///< milliseconds: from the start of a process until all have it in their view
};

/// Volatile, with the default timers; a message takes 0.25 ms each way.
scenario calm_group(unsigned members, bool safe) {
  scenario s;
  s.profile = "figures";
  s.seed = members;
  s.members = members;
  s.core.durable = false;
  s.core.orders = {order::fifo, order::causal, order::total};
  if (safe) s.core.orders.add(order::safe_causal);
  s.delay_least = s.delay_most = 250;
  s.clock_offset_most = 100;
  s.clock_rate_most = 10;
  return s;
}

class group {
public:
  group(unsigned members, bool safe) : members_(members) {
    app_ = make_register_workload();
    w_ = std::make_unique<world>(calm_group(members, safe), *app_, watchers_, record_checksum);
    w_->on_left = [this](unsigned node) { w_->at(w_->now(), [this, node] { w_->crash(node, true); }); };
    for (unsigned i = 0; i < members; ++i) w_->start(i);
    until([&] { return all_have(members, no_member); }, 60s);
    w_->run_until(w_->now() + 10s);
  }

  /// Every member in turn, one message a millisecond: less than a round trip apart, as in a busy group. Messages between members
  /// for one multicast, and seconds of processor.
  std::pair<double, double> load() {
    const auto [busy, seconds] = over(std::chrono::milliseconds(messages), [&] {
      for (unsigned i = 0; i < messages; ++i)
        w_->at(w_->now() + std::chrono::milliseconds(i), [this, i] { w_->multicast(i % members_, order::total, 64); });
    });
    return {static_cast<double>(busy) / messages, seconds / messages};
  }

  point measure() {
    point p;
    p.members = members_;
    const double n = members_;
    const auto [idle, unused] = over(5s, [] {});
    p.idle = static_cast<double>(idle) / n / (5s / 50ms);
    const auto [sent, seconds] = load();
    p.sent = sent;
    p.processor = seconds * 1e6 / n;

    const auto leaver = member_but_leader();
    const auto before = w_->messages_sent();
    const auto begun = w_->now();
    w_->request(leaver, change_kind::leave, leaver, {});
    until([&] { return all_have(members_ - 1, static_cast<member_id>(leaver)); }, 30s);
    p.leave = since(begun);
    p.leave_sent = static_cast<double>(w_->messages_sent() - before) / n;
    w_->run_until(w_->now() + 2s);
    const auto started = w_->now();
    w_->start(leaver);
    until([&] { return all_have(members_, no_member); }, 30s);
    p.join = since(started);
    w_->run_until(w_->now() + 10s);
    const auto victim = member_but_leader();
    const auto died = w_->now();
    w_->crash(victim, true);
    until([&] { return all_have(members_ - 1, static_cast<member_id>(victim)); }, 30s);
    p.death = since(died);
    return p;
  }

private:
  static constexpr unsigned messages = 1000;

  double since(instant begun) const { return static_cast<double>((w_->now() - begun).count()) / 1e6; }

  std::pair<std::uint64_t, double> over(duration span, const std::function<void()>& what) {
    const auto before = w_->messages_sent();
    const auto clock = std::clock();
    what();
    w_->run_until(w_->now() + span);
    return {w_->messages_sent() - before, static_cast<double>(std::clock() - clock) / CLOCKS_PER_SEC};
  }

  unsigned member_but_leader() const { return (static_cast<unsigned>(std::max(w_->leader(), 0)) + 1) % members_; }

  /// Everybody but `without` has installed a view with that many active members.
  bool all_have(unsigned active, member_id without) const {
    for (unsigned i = 0; i < members_; ++i) {
      if (static_cast<member_id>(i) == without) continue;
      const auto* c = w_->core_of(i);
      if (!c) return false;
      const auto& v = inspector::of(*c).in_force;
      if (!v) return false;
      const auto there = std::ranges::count_if(v->roster, [&](const auto& r) { return r.active && r.id.member != without; });
      const auto gone = std::ranges::none_of(v->roster, [&](const auto& r) { return r.active && r.id.member == without; });
      if (there != static_cast<std::ptrdiff_t>(active) || !gone) return false;
    }
    return true;
  }

  void until(const std::function<bool()>& done, duration limit) {
    for (const auto end = w_->now() + limit; w_->now() < end && !done();) w_->run_until(w_->now() + 100us);
  }

  unsigned members_;
  checkers watchers_;
  std::unique_ptr<workload> app_;
  std::unique_ptr<world> w_;
};

// ---- the plot -------------------------------------------------------------------------------------------------------

struct curve {
  const char* name;
  const char* colour;
  double point::*value;
};

/// One diagram, both axes logarithmic: a power of n is a straight line.
class diagram {
public:
  diagram(std::ostream& out, double left, std::string title, std::string unit, const std::vector<point>& points, std::vector<curve> curves)
      : out_(out), left_(left), points_(points) {
    double least = 1e300, most = 0;
    for (const auto& p : points)
      for (const auto& c : curves) least = std::min(least, p.*c.value), most = std::max(most, p.*c.value);
    low_ = std::floor(std::log10(std::max(least, 1e-3)));
    high_ = std::max(low_ + 1, std::ceil(std::log10(most)));
    text(left_, top - 26, title, "font-weight=\"bold\"");
    text(left_, top - 8, unit, "fill=\"#555\"");
    for (double e = low_; e <= high_; ++e) {
      line(left_, y(std::pow(10, e)), left_ + width, y(std::pow(10, e)), "#ddd");
      text(left_ - 6, y(std::pow(10, e)) + 4, number(std::pow(10, e)), "text-anchor=\"end\"");
    }
    for (const unsigned n : {3u, 8u, 16u, 32u, 64u}) {
      line(x(n), top, x(n), top + height, "#eee");
      text(x(n), top + height + 16, std::to_string(n), "text-anchor=\"middle\"");
    }
    text(left_ + width / 2, top + height + 34, "members", "text-anchor=\"middle\"");
    double row = top + height + 54;
    for (const auto& c : curves) {
      out_ << "<polyline fill=\"none\" stroke=\"" << c.colour << "\" stroke-width=\"2\" points=\"";
      for (const auto& p : points_) out_ << number(x(p.members)) << ',' << number(y(p.*c.value)) << ' ';
      out_ << "\"/>\n";
      for (const auto& p : points_)
        out_ << "<circle cx=\"" << number(x(p.members)) << "\" cy=\"" << number(y(p.*c.value)) << "\" r=\"2.5\" fill=\"" << c.colour << "\"/>\n";
      line(left_, row - 4, left_ + 18, row - 4, c.colour);
      text(left_ + 24, row, c.name, "");
      row += 17;
    }
  }
  static constexpr double top = 56, width = 300, height = 240;

private:
  static std::string number(double v) {
    char out[32];
    std::snprintf(out, sizeof out, "%.4g", v);
    return out;
  }
  double x(double n) const { return left_ + width * std::log(n / 3.0) / std::log(64.0 / 3.0); }
  double y(double v) const { return top + height * (high_ - std::log10(std::max(v, 1e-3))) / (high_ - low_); }
  void line(double x1, double y1, double x2, double y2, const char* colour) {
    out_ << "<line x1=\"" << number(x1) << "\" y1=\"" << number(y1) << "\" x2=\"" << number(x2) << "\" y2=\"" << number(y2) << "\" stroke=\""
         << colour << "\"/>\n";
  }
  void text(double at_x, double at_y, const std::string& what, const char* how) {
    out_ << "<text x=\"" << number(at_x) << "\" y=\"" << number(at_y) << "\" " << how << ">" << what << "</text>\n";
  }
  std::ostream& out_;
  double left_, low_ = 0, high_ = 1;
  const std::vector<point>& points_;
};

bool plot(const std::vector<point>& points, const std::string& file) {
  std::ofstream out(file);
  out << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"800\" height=\"410\" font-family=\"sans-serif\" font-size=\"12\">\n"
         "<rect width=\"800\" height=\"410\" fill=\"white\"/>\n";
  diagram(out, 60, "Cost of a message", "per multicast; both axes logarithmic", points,
          {{"messages between members", "#1f77b4", &point::sent},
           {"the same, where safe orders are taken, too", "#17becf", &point::sent_safe},
           {"processor time per member, &#181;s, simulator included", "#d62728", &point::processor},
           {"idle: messages per heartbeat and member", "#7f7f7f", &point::idle}});
  diagram(out, 450, "Change of the view", "a message takes 0.25 ms each way", points,
          {{"somebody leaves, ms until all have the view", "#2ca02c", &point::leave},
           {"a process ends, ms until all have the view", "#ff7f0e", &point::death},
           {"messages per member when somebody leaves", "#9467bd", &point::leave_sent}});
  out << "</svg>\n";
  out.close();
  return static_cast<bool>(out);
}

}  // namespace

int print_growth_figures(const std::string& svg_file) {
  std::vector<point> points;
  std::printf("| members | messages per multicast | with safe orders | \u00b5s of processor per multicast and member | messages per heartbeat "
              "and member, idle | leave ms | messages per member for it | death ms | join ms |\n|---|---|---|---|---|---|---|---|---|\n");
  for (const auto n : sizes) {
    auto p = group(n, false).measure();
    p.sent_safe = group(n, true).load().first;
    std::printf("| %u | %.1f | %.1f | %.2f | %.1f | %.1f | %.0f | %.0f | %.0f |\n", n, p.sent, p.sent_safe, p.processor, p.idle, p.leave,
                p.leave_sent, p.death, p.join);
    std::fflush(stdout);
    points.push_back(p);
  }
  if (svg_file.empty() || plot(points, svg_file)) return 0;
  std::fprintf(stderr, "--svg %s: cannot be written\n", svg_file.c_str());
  return 1;
}

}  // namespace cohort::sim
