#pragma once
// A console of two files for tests; its "compressed" forms are told apart by a letter in front.

#include <string>
#include <string_view>

namespace detection::http {

inline std::string test_console() {
  constexpr std::string_view kPage = "<title>page</title>", kScript = "run()";
  const auto line = [](std::string_view name, std::string_view type, std::string_view hash, std::string_view body) {
    const auto size = std::to_string(body.size()), coded = std::to_string(body.size() + 1);
    std::string text(name);
    text.append(" ").append(type).append(" ").append(hash).append(" ").append(size);
    return text.append(" ").append(coded).append(" ").append(coded).append("\n");
  };
  const auto forms = [](std::string_view body) {
    std::string text(body);
    return text.append("g").append(body).append("b").append(body);
  };
  std::string archive = "detection-console 1\n";
  archive += line("index.html", "text/html;charset=utf-8", "aa11", kPage);
  archive += line("main-1.js", "text/javascript;charset=utf-8", "bb22", kScript);
  return archive + "\n" + forms(kPage) + forms(kScript);
}

}  // namespace detection::http
