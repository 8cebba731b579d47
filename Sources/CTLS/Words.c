#include "CTLS.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

const int tls_expired = X509_V_ERR_CERT_HAS_EXPIRED, tls_not_yet_valid = X509_V_ERR_CERT_NOT_YET_VALID,
          tls_self_signed = X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
          tls_self_signed_in_chain = X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
          // A number that OpenSSL gives to nothing.
          tls_key_too_large = INT_MAX,
          tls_wrong_name = X509_V_ERR_HOSTNAME_MISMATCH, tls_wrong_address = X509_V_ERR_IP_ADDRESS_MISMATCH,
          tls_not_pinned = X509_V_ERR_APPLICATION_VERIFICATION,
          tls_no_issuer = X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT,
          tls_no_local_issuer = X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
          tls_unable_to_verify_leaf = X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;

bool tls_decode_base64(const uint8_t *digits, size_t count, uint8_t *octets) {
  return EVP_DecodeBlock(octets, digits, (int)count) == (int)(count / 4 * 3);
}

const char *tls_alert_text(int alert) { return SSL_alert_desc_string_long(alert); }

const char *tls_certificate_text(int error) { return X509_verify_cert_error_string(error); }

const char *tls_violation_text(int64_t error) {
  const char *text = ERR_reason_error_string((unsigned long)error);
  return text ? text : "unknown error";
}
