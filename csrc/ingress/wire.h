// The protobuf wire format, as much of it as the hot calls need.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace aigc::ingress {

enum WireType : std::uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// Fields one by one; ok() turns false for ever at the first malformed byte.
class WireReader {
 public:
  explicit WireReader(std::string_view data) : at_(data.data()), end_(at_ + data.size()) {}

  bool ok() const { return ok_; }

  // The next field's number and type; false at the end or after an error.
  bool next() {
    if (!ok_ || at_ == end_) return false;
    const std::uint64_t tag = varint();
    field_ = static_cast<std::uint32_t>(tag >> 3);
    type_ = static_cast<std::uint32_t>(tag & 7);
    return ok_;
  }

  std::uint32_t field() const { return field_; }
  bool is(std::uint32_t field, WireType type) const { return field_ == field && type_ == type; }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ == end_) break;
      const auto byte = static_cast<std::uint8_t>(*at_++);
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    ok_ = false;
    return 0;
  }

  std::string_view bytes() {
    const std::uint64_t size = varint();
    if (!ok_ || size > static_cast<std::uint64_t>(end_ - at_)) {
      ok_ = false;
      return {};
    }
    const std::string_view value(at_, static_cast<std::size_t>(size));
    at_ += size;
    return value;
  }

  float fixed32() {
    float value = 0.0f;
    if (end_ - at_ < 4) {
      ok_ = false;
      return value;
    }
    std::memcpy(&value, at_, 4);
    at_ += 4;
    return value;
  }

 private:
  const char* at_;
  const char* end_;
  std::uint32_t field_ = 0, type_ = 0;
  bool ok_ = true;
};

// Appends fields to a string. What has its default value is left out, as proto3 does.
class WireWriter {
 public:
  explicit WireWriter(std::string& out) : out_(out) {}

  void varint(std::uint64_t value) {
    while (value >= 0x80) {
      out_.push_back(static_cast<char>(value | 0x80));
      value >>= 7;
    }
    out_.push_back(static_cast<char>(value));
  }

  void tag(std::uint32_t field, WireType type) { varint((field << 3) | type); }

  void text(std::uint32_t field, std::string_view value) {
    if (!value.empty()) message(field, value);
  }

  void message(std::uint32_t field, std::string_view value) {
    tag(field, kBytes);
    varint(value.size());
    out_.append(value);
  }

  void number(std::uint32_t field, float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, 4);
    if (bits == 0) return;  // -0 is kept
    tag(field, kFixed32);
    out_.append(reinterpret_cast<const char*>(&bits), 4);
  }

  void integer(std::uint32_t field, std::uint64_t value) {
    if (value == 0) return;
    tag(field, kVarint);
    varint(value);
  }

 private:
  std::string& out_;
};

}  // namespace aigc::ingress
