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
      x.request_id};
  read(x, state_.workers, [this, verification = std::move(verification)]() -> Result<Rendered> {
    const auto verified = state_.rooms.store.verify(verification);
    if (!verified) return std::unexpected(verified.error());
    state_.reads.erase(verification.id);
    Rendered rendered;
    append_record(rendered.body, verified->stored, verified->delivery);
    return rendered;
  });
}

}  // namespace detection::http
