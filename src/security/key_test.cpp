#include "security/key.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "security/test_keys.hpp"

namespace detection::security {
namespace {

using namespace testing;
const UtcMicros kNow{1'790'000'000'000'000};

std::string pem_of(EVP_PKEY* raw) {
  const EvpKey key(raw);
  const Bio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  char* data = nullptr;
  const auto size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

TEST(Key, EveryKindOfPemIsReadAndSigns) {
  for (const auto kind : kKinds) {
    const AsymmetricKey made(kind);
    const auto whole = Key::from_text(made.private_pem());
    const auto half = Key::from_text(made.public_pem());
    ASSERT_TRUE(whole) << whole.error().detail;
    ASSERT_TRUE(half) << half.error().detail;
    EXPECT_EQ(algorithm_name((*whole)->algorithm()), made.algorithm());
    EXPECT_TRUE((*whole)->can_sign());
    EXPECT_FALSE((*half)->can_sign());
    EXPECT_EQ((*whole)->id(), (*half)->id());
    EXPECT_FALSE((*half)->sign_jws("k", "{}"));
    const auto token = (*whole)->sign_jws("k", R"({"sub":"a"})");
    ASSERT_TRUE(token);
    EXPECT_TRUE((*half)->verify_jws(*token));
    EXPECT_TRUE((*whole)->verify_jws(made.token(R"({"alg":")" + std::string(made.algorithm()) + "\"}", "{}")));
    EXPECT_FALSE((*half)->verify_jws(token->substr(0, token->size() - 4)));
  }
}

TEST(Key, PemOfTheCommandLineToolsIsRead) {
  // openssl ecparam -name prime256v1 -genkey writes the parameters in front.
  const auto ec = pem_of(EVP_EC_gen("P-256"));
  EXPECT_TRUE(Key::from_text("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + ec));
  EXPECT_TRUE(Key::from_text("a comment in front\n" + ec + "\n\n"));
}

TEST(Key, WhatIsNotTakenIsSaidWithTheWayToMakeOne) {
  const auto good = AsymmetricKey(Kind::kEd25519).private_pem();
  const struct {
    const char* what;
    std::string text, says;
  } cases[] = {
      {"P-384", pem_of(EVP_EC_gen("P-384")), "secp384r1"},
      {"P-521", pem_of(EVP_EC_gen("P-521")), "secp521r1"},
      {"secp256k1", pem_of(EVP_EC_gen("secp256k1")), "secp256k1"},
      {"RSA of 1024 bits", pem_of(EVP_RSA_gen(1024)), "1024 bits"},
      {"X25519", pem_of(EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519")), "X25519"},
      {"Ed448", pem_of(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED448")), "ED448"},
      {"cut off", good.substr(0, good.size() - 20), "cut off"},
      {"nothing inside", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", "cannot be read"},
      {"two keys", good + good, "more than one"},
      {"private and public", good + AsymmetricKey(Kind::kEd25519).public_pem(), "more than one"},
      {"a certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "holds no key"},
      {"with a password", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
       "password"},
      {"DER", std::string("\x30\x59\x30\x13\x06\x07\x2a\x86", 8) + std::string(80, 'x'), "DER"},
  };
  for (const auto& c : cases) {
    const auto key = Key::from_text(c.text);
    ASSERT_FALSE(key) << c.what;
    EXPECT_EQ(key.error().code, ErrorCode::kConfiguration) << c.what;
    EXPECT_NE(key.error().detail.find(c.says), std::string::npos) << c.what << ": " << key.error().detail;
    EXPECT_NE(key.error().detail.find("openssl genpkey"), std::string::npos) << c.what;
  }
}

TEST(Key, APublicTextIsNotTakenForASecret) {
  for (const std::string text :
       {R"({"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4","e":"AQAB"})",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl",
        "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBB",
        R"([{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1"}])"}) {
    const auto key = Key::from_text(text);
    ASSERT_FALSE(key) << text;
    EXPECT_NE(key.error().detail.find("not an HMAC key"), std::string::npos);
  }
  EXPECT_FALSE(HmacKey::from_text(AsymmetricKey(Kind::kRsa).public_pem())) << "the classic confusion";
}

TEST(Key, PublicFormsAreThoseOfTheStandards) {
  for (const auto kind : kKinds) {
    const auto key = Key::from_text(AsymmetricKey(kind).private_pem()).value();
    std::string text;
    json::Writer w(text);
    key->write_public_jwk(w, "a-kid");
    const auto jwk = nlohmann::json::parse(text);
    EXPECT_EQ(jwk["kid"], "a-kid");
    EXPECT_EQ(jwk["use"], "sig");
    EXPECT_EQ(jwk["alg"], algorithm_name(key->algorithm()));
    EXPECT_EQ(jwk["key_ops"], nlohmann::json::array({"verify"}));
    for (const auto* secret : {"d", "p", "q", "dp", "dq", "qi", "k"}) EXPECT_FALSE(jwk.contains(secret));
    if (kind == Kind::kEd25519) {
      EXPECT_EQ(jwk["kty"], "OKP");
      EXPECT_EQ(jwk["x"].get<std::string>().size(), 43U);
      continue;
    }
    // cjose reads it back, and what it reads verifies.
    cjose_err error{};
    const Jwk read(cjose_jwk_import(text.data(), text.size(), &error));
    ASSERT_TRUE(read) << text;
    const auto token = key->sign_jws("a-kid", "{}").value();
    const Jws jws(cjose_jws_import(token.data(), token.size(), &error));
    EXPECT_TRUE(cjose_jws_verify(jws.get(), read.get(), &error));
  }
}

TEST(Key, SignedTextsHoldAndAreNoTokens) {
  std::vector<KeyPointer> keys{Key::from_text(kHmacText).value()};
  for (const auto kind : kKinds) keys.push_back(Key::from_text(AsymmetricKey(kind).private_pem()).value());
  for (const auto& key : keys) {
    const std::string text = "eyJhbGciOiJIUzI1NiJ9.e30";  // looks like what a token signs
    const auto signature = key->sign_text(text);
    ASSERT_TRUE(signature);
    EXPECT_TRUE(key->verify_text(text, *signature));
    EXPECT_FALSE(key->verify_text(text + " ", *signature));
    EXPECT_FALSE(key->verify_text(text, ""));
    EXPECT_FALSE(key->verify_text(text, "*"));
    EXPECT_FALSE(key->verify_jws(text + "." + *signature));
    for (const auto& other : keys) EXPECT_EQ(other->verify_text(text, *signature), other == key);
  }
}

TEST(HmacKey, ShortKnownAndMissingOnesAreRefusedWithTheWayToMakeOne) {
  for (const std::string& text : {std::string(), std::string(31, 'x'), std::string(64, 'x'),
                                  std::string("Your-256-Bit-Secret-your-256-bit-secret"),
                                  std::string("   changeme-changeme-changeme-changeme  ")}) {
    const auto key = HmacKey::from_text(text);
    ASSERT_FALSE(key) << text;
    EXPECT_NE(key.error().detail.find("openssl rand"), std::string::npos) << key.error().detail;
  }
  EXPECT_FALSE(HmacKey::from_file("/nonexistent/key"));
  EXPECT_FALSE(HmacKey::from_file("/"));
}

TEST(HmacKey, GuessableOnesAreRefused) {
  std::string decoded =
      *base64url_decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow");
  for (const std::string& text :
       {std::string("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"),
        std::string("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ+EstJQLr/T+1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow=="),
        decoded, std::string("hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg"),
        std::string("abcdeabcdeabcdeabcdeabcdeabcdeabcde"), std::string("0a1b2c3d4e5f60710a1b2c3d4e5f60710a1b2c3d"),
        std::string("please-change-this-signing-key-in-production"),
        std::string("replace_me_replace_me_with_a_default_secret"), std::string("Insecure.Example.Key.Do.Not.Use.2026"),
        std::string("qwertyuiopasdfghjklzxcvbnm1234567890"), std::string("QWERTZUIOP-ASDFGHJKL-YXCVBNM-123456"),
        std::string("1q2w3e4r5t6y7u8i9o0p1q2w3e4r5t6y"), std::string("00112233445566778899aabbccddeeff"),
        std::string("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
        std::string("ffeeddccbbaa99887766554433221100"), std::string("123456789012345678901234567890123456"),
        std::string("this is a secret key of at least 32 bytes")})
    EXPECT_FALSE(HmacKey::from_text(text)) << text;
}

TEST(HmacKey, RandomOnesAreNeverTakenForGuessable) {
  std::mt19937_64 random(20'261'126);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes(round % 3 == 0 ? 24 : round % 3 == 1 ? 32 : 48, '\0');
    for (auto& byte : bytes) byte = static_cast<char>(random());
    const auto key = base64url_encode(bytes);
    const auto a = HmacKey::from_text(key);
    ASSERT_TRUE(a) << key << ": " << a.error().detail;
    const auto b = HmacKey::from_text(hex(bytes.substr(0, 16 + random() % (bytes.size() - 15))));
    ASSERT_TRUE(b) << hex(bytes) << ": " << b.error().detail;
  }
}

TEST(HmacKey, SurroundingWhiteSpaceIsNotPartOfIt) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "key";
  write_file(path, "\n  " + std::string(kHmacText) + " \r\n");
  const auto key = HmacKey::from_file(path);
  ASSERT_TRUE(key) << key.error().detail;
  const auto token = mint_token(*key, {"a", "admin", std::chrono::hours{1}}, kNow);
  ASSERT_TRUE(token);
  EXPECT_TRUE(Key::from_text(kHmacText).value()->verify_jws(*token));
  std::filesystem::permissions(path, std::filesystem::perms::others_write, std::filesystem::perm_options::add);
  EXPECT_TRUE(writable_by_others(path));
  std::filesystem::permissions(path, std::filesystem::perms::owner_read);
  EXPECT_FALSE(writable_by_others(path));
}

TEST(Base64Url, HasOneTextForEachBytes) {
  for (const std::string text : {"", "a", "ab", "abc", "abcd", "\xff\xfe\xfd"}) {
    EXPECT_EQ(base64url_decode(base64url_encode(text)), text);
  }
  EXPECT_EQ(base64url_encode("\xfb\xff\xbf"), "-_-_");
  for (const auto* bad : {"A", "AB", "AAA=", "A B", "+/", "AAAAA", "AA\n"}) EXPECT_FALSE(base64url_decode(bad)) << bad;
  EXPECT_FALSE(base64url_decode("\xc3\xa4"));
}

}  // namespace
}  // namespace detection::security
