#pragma once
// Pieces of XML 1.0 text for the writer: escapes and numbers. Output is ASCII; nothing here depends on the locale.

#include <string>
#include <string_view>

#include "cot/text_writer.hpp"

namespace detection::cot {

/// TextWriter::escaped.
void append_escaped(std::string& out, std::string_view text);

/// TextWriter::fixed, with 0..8 `decimals`. At most kFixedBytesMost bytes.
void append_fixed(std::string& out, double value, int decimals);

}  // namespace detection::cot
