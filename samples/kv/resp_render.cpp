#include "samples/kv/resp_render.hpp"

#include "samples/kv/numbers.hpp"

namespace kv {

namespace {

/// One header line with what belongs to it.
struct piece {
  std::string_view header;  ///< with its line end
  std::string_view body;    ///< of strings, with its line end
  std::uint64_t parts = 0;  ///< elements that follow
};

bool take(std::string_view& rest, piece& p) {
  const auto end = rest.find("\r\n");
  if (end == rest.npos) return false;
  p = {rest.substr(0, end + 2), {}, 0};
  rest.remove_prefix(end + 2);
  const auto number = [&] { return parse_integer(p.header.substr(1, end - 1)).value_or(-1); };
  switch (p.header[0]) {
    case '$':
    case '=': {
      const auto size = number();
      if (size < 0) return true;
      if (static_cast<std::uint64_t>(size) + 2 > rest.size()) return false;
      p.body = rest.substr(0, static_cast<std::size_t>(size) + 2);
      rest.remove_prefix(p.body.size());
      return true;
    }
    case '*':
    case '~':
    case '%': {
      const auto count = number();
      if (count > 0) p.parts = static_cast<std::uint64_t>(count) * (p.header[0] == '%' ? 2 : 1);
      return true;
    }
    default:
      return true;
  }
}

void render_piece(const piece& p, int protocol, std::string& out) {
  const char kind = p.header[0];
  if (protocol == 3) {
    if (p.header == "*-1\r\n") out.append("_\r\n");
    else out.append(p.header).append(p.body);
  } else if (kind == '_') {
    out.append("$-1\r\n");
  } else if (kind == '%' || kind == '~') {
    out.append(1, '*').append(std::to_string(p.parts)).append("\r\n");
  } else if (kind == '=') {  // without "txt:"
    out.append(1, '$').append(std::to_string(p.body.size() - 6)).append("\r\n").append(p.body.substr(4));
  } else {
    out.append(p.header).append(p.body);
  }
}

}  // namespace

void render(std::string_view reply, int protocol, std::string& out) {
  const char kind = reply.empty() ? '+' : reply[0];
  if (kind == '+' || kind == '-' || kind == ':' || kind == '$') {  // nearly all, and the same in both
    out.append(reply);
    return;
  }
  piece p;
  while (!reply.empty() && take(reply, p)) render_piece(p, protocol, out);
}

std::size_t element_size(std::string_view replies) {
  auto rest = replies;
  piece p;
  for (std::uint64_t left = 1; left > 0; left += p.parts, --left)
    if (!take(rest, p)) return 0;
  return replies.size() - rest.size();
}

}  // namespace kv
