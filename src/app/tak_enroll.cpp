// tak enroll: a client certificate from a TAK server's enrolment port, and its renewal.

#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>

#include "app/build_info.hpp"
#include "app/commands.hpp"
#include "app/tak_commands.hpp"
#include "app/web_client.hpp"
#include "detection/json_writer.hpp"
#include "tak/credentials.hpp"
#include "tak/enrolment.hpp"
#include "tak/tls_context.hpp"

namespace detection::app {
namespace {

constexpr std::chrono::seconds kTimeout{30};
constexpr std::size_t kSmallFileMost = 1u << 20;

int failed(const std::string& why) {
  std::fprintf(stderr, "detection-api: %s\n", why.c_str());
  return kFailed;
}

int wrong_usage(const std::string& why) {
  std::fprintf(stderr, "detection-api: %s\n", why.c_str());
  return kWrongUsage;
}

std::optional<std::string> read_small_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::string text(kSmallFileMost, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

class Enrolment {
 public:
  Enrolment(const TakEnrollArguments& arguments, tak::EnrolmentAddress address)
      : arguments_(arguments), address_(std::move(address)) {}

  /// Nothing when all is there; else the exit code.
  std::optional<int> prepare() {
    username_ = arguments_.username.empty() ? address_.username : arguments_.username;
    if (username_.empty()) return wrong_usage("tak enroll needs --username (or a tak:// link that has one)");
    if (!arguments_.password_file.empty()) {
      const auto text = read_small_file(arguments_.password_file);
      if (!text) return failed("--password-file " + arguments_.password_file + " cannot be read");
      password_ = *text;
    } else if (arguments_.password_stdin) {
      for (int c = std::getchar(); c != EOF && c != '\n' && password_.size() < kSmallFileMost; c = std::getchar())
        password_.push_back(static_cast<char>(c));
    } else {
      password_ = address_.token;
    }
    while (password_.ends_with('\n') || password_.ends_with('\r')) password_.pop_back();
    if (password_.empty())
      return wrong_usage(
          "tak enroll needs the password: --password-file, --password-stdin, or a tak:// link with a token");
    return std::nullopt;
  }

  int run() {
    auto trusted = std::make_shared<tak::Credentials>();
    if (!arguments_.ca_file.empty()) {
      const auto text = read_small_file(arguments_.ca_file);
      if (!text) return failed("--ca-file " + arguments_.ca_file + " cannot be read");
      trusted->authorities_pem = *text;
      trusted->authorities_from = arguments_.ca_file;
    }
    tak::TlsOptions tls;
    tls.pin_sha256 = arguments_.pin_sha256;
    const auto context = tak::TlsContext::make(tls, address_.host, trusted);
    if (!context) return wrong_usage(context.error().detail);
    auto witness = (*context)->witness();
    WebClient client(kTimeout);
    client.check_servers_by([&witness](ssl_ctx_st* made) { witness.attach(made); });

    const auto config = ask(client, witness, "/Marti/api/tls/config", std::nullopt, {});
    if (!config) return kFailed;
    if (config->status != 200) return refused(*config, "/Marti/api/tls/config");
    const auto entries = tak::parse_certificate_config(config->body);
    if (!entries) return failed(entries.error().detail);
    const auto request = tak::make_signing_request(username_, *entries);
    if (!request) return failed(request.error().detail);
    const auto query =
        "?clientUid=" + WebClient::escaped(arguments_.client_uid) + "&version=" + WebClient::escaped(kVersion);
    std::string path = "/Marti/api/tls/signClient/v2";
    auto answer = ask(client, witness, path + query, request->request_pem, "application/json");
    if (answer && answer->status == 404) {
      path = "/Marti/api/tls/signClient";
      answer = ask(client, witness, path + query, request->request_pem, {});
    }
    if (!answer) return kFailed;
    if (answer->status != 200) return refused(*answer, path);
    const auto enrolled = tak::read_enrolment_answer(answer->body, *request, system_now());
    if (!enrolled) return failed(enrolled.error().detail);
    if (auto written = tak::write_credentials_folder(arguments_.output, enrolled->files); !written)
      return failed(written.error().detail);
    return report(*enrolled);
  }

 private:
  /// Nothing after a message.
  std::optional<WebClient::Answer> ask(WebClient& client, const tak::TlsWitness& witness, const std::string& path,
                                       const std::optional<std::string>& body, const std::string& accept) const {
    WebClient::Request request{.url = address_.base_url() + path,
                               .username = username_,
                               .password = password_,
                               .accept = accept,
                               .content_type = "application/pkcs10",
                               .body = body};
    auto answer = client.send(request);
    if (answer) return std::move(*answer);
    if (!client.tls_failed()) {
      failed(answer.error().detail);
      return std::nullopt;
    }
    failed(address_.base_url() + ": " + witness.explain(0));
    if (const auto& server = witness.server(); server && arguments_.pin_sha256.empty())
      std::fprintf(
          stderr,
          "Nothing was sent to it. It showed the certificate of %s, issued by %s, SHA-256\n  %s\nAsk the server's "
          "administrator whether that is right. If it is, go on with\n  --pin-sha256 %s\nor with its authority's "
          "certificate: --ca-file ca.crt\n",
          server->subject.c_str(), server->issuer.c_str(), server->sha256.c_str(), server->sha256.c_str());
    return std::nullopt;
  }

  [[nodiscard]] int refused(const WebClient::Answer& answer, const std::string& path) const {
    const auto where = address_.base_url() + path + " answers " + std::to_string(answer.status);
    if (answer.status == 401 || answer.status == 403)
      return failed(where + ": the server does not take the user '" + username_ + "' with that password");
    if (answer.status == 404)
      return failed(where + ": no certificate enrolment is offered there; on most servers it is on port 8446");
    return failed(where);
  }

  [[nodiscard]] int report(const tak::EnrolledCredentials& enrolled) const {
    const auto renew_from = enrolled.expires + -std::chrono::microseconds(tak::kRenewBefore);
    if (arguments_.json) {
      std::string out;
      json::Writer w(out);
      w.begin_object();
      w.key("enrolled");
      w.boolean(true);
      w.key("folder");
      w.string(arguments_.output);
      w.key("subject");
      w.string(enrolled.subject);
      w.key("issuer");
      w.string(enrolled.issuer);
      w.key("expires");
      w.string(format_rfc3339_ms(enrolled.expires));
      w.end_object();
      std::printf("%s\n", out.c_str());
      return kDone;
    }
    std::printf("%s: certificate of %s, issued by %s, good until %s; renew it from %s on\n", arguments_.output.c_str(),
                enrolled.subject.c_str(), enrolled.issuer.c_str(), format_rfc3339_ms(enrolled.expires).c_str(),
                format_rfc3339_ms(renew_from).c_str());
    if (!enrolled.files.contains("ca.crt"))
      std::printf("The server gave no authorities: put the one of its port 8089 into ca.crt there.\n");
    const bool v6 = address_.host.find(':') != std::string::npos;
    std::printf("Try it: detection-api tak probe tls://%s:8089 --tak-credentials %s\n",
                (v6 ? "[" + address_.host + "]" : address_.host).c_str(), arguments_.output.c_str());
    return kDone;
  }

  const TakEnrollArguments& arguments_;
  tak::EnrolmentAddress address_;
  std::string username_, password_;
};

/// Exit code when nothing is to be done.
std::optional<int> not_due(const TakEnrollArguments& arguments) {
  const auto before = parse_duration(arguments.renew_before);
  if (!before) return wrong_usage("--renew-before '" + arguments.renew_before + "' must be a duration such as 7d");
  const auto now = system_now();
  const auto present = tak::load_credentials(arguments.output, now);
  if (!present || !(*present)->certificate_expires) return std::nullopt;
  const auto expires = *(*present)->certificate_expires;
  if (tak::renewal_due(expires, now, *before)) return std::nullopt;
  if (arguments.json)
    std::printf("{\"enrolled\":false,\"expires\":\"%s\"}\n", format_rfc3339_ms(expires).c_str());
  else
    std::printf("%s: not due, the certificate is good until %s\n", arguments.output.c_str(),
                format_rfc3339_ms(expires).c_str());
  return kDone;
}

}  // namespace

int tak_enroll(const TakEnrollArguments& arguments) {
  auto address = tak::parse_enrolment_address(arguments.url);
  if (!address) return wrong_usage(address.error().detail);
  if (!arguments.renew_before.empty())
    if (const auto code = not_due(arguments)) return *code;
  Enrolment enrolment(arguments, std::move(*address));
  if (const auto code = enrolment.prepare()) return *code;
  return enrolment.run();
}

}  // namespace detection::app
