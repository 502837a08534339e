// What people decide: held detections released or rejected. It waits for the store's writer, so it runs on the workers.

#include "http/api.hpp"
#include "http/body_fields.hpp"
#include "http/detection_json.hpp"

namespace detection::http {

void Api::put_verify(Exchange& x, const Uuid& id) {
  auto fields = read_body(x.body, verify_fields());
  if (!fields) return refuse(x, std::move(fields.error()));
  store::Store::Verification verification{
      id,
      {fields->booleans[kVerifyVerified].value_or(false), std::move(fields->texts[kVerifyNotes]).value_or(""),
       x.notes.principal->subject, x.received},
      x.request_id,
      x.trace_id};
  read(x, state_.workers, [this, verification = std::move(verification)]() -> Result<Rendered> {
    const auto verified = state_.rooms.store.verify(verification);
    if (!verified) return std::unexpected(verified.error());
    state_.reads.erase(verification.id);
    if (verified->changed)
      state_.rooms.log.about({&verification.id, 1}, telemetry::Level::kInfo, "detection_decided",
                             verification.decision.verified ? "released by a person" : "rejected by a person",
                             {{"state", verification.decision.verified ? "released" : "rejected"},
                              {"actor", verification.decision.actor},
                              {"request_id", verification.request_id},
                              telemetry::where_given("trace_id", verification.trace_id)});
    Rendered rendered;
    append_record(rendered.body, verified->stored, verified->delivery);
    return rendered;
  });
}

}  // namespace detection::http
