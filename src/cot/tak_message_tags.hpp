#pragma once
// First bytes of the fields of tak_message.proto, number << 3 | wire type, for what is written and looked at by hand.
// FrameTest.TagsAreThoseOfTheSchema holds them against the schema. For this room only.

namespace detection::cot::tags {

inline constexpr char kCotEvent = 0x12;  // of TakMessage

inline constexpr char kType = 0x0a;  // of CotEvent
inline constexpr char kQos = 0x1a;
inline constexpr char kOpex = 0x22;
inline constexpr char kUid = 0x2a;
inline constexpr char kSendTime = 0x30;
inline constexpr char kStartTime = 0x38;
inline constexpr char kStaleTime = 0x40;
inline constexpr char kHow = 0x4a;
inline constexpr char kLat = 0x51;
inline constexpr char kLon = 0x59;
inline constexpr char kHae = 0x61;
inline constexpr char kCe = 0x69;
inline constexpr char kLe = 0x71;
inline constexpr char kDetail = 0x7a;

inline constexpr char kXmlDetail = 0x0a;  // of Detail
inline constexpr char kContact = 0x12;
inline constexpr char kPrecisionLocation = 0x22;

inline constexpr char kCallsign = 0x12;        // of Contact
inline constexpr char kPointSource = 0x0a;     // of PrecisionLocation
inline constexpr char kAltitudeSource = 0x12;  // of PrecisionLocation

}  // namespace detection::cot::tags
