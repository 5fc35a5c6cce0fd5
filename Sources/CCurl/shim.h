// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

// curl_easy_setopt, curl_easy_getinfo and curl_multi_setopt are variadic, and Swift does not import variadic C
// functions: one typed function for each kind of value they take.
#ifndef CALLBRIDGE_CCURL_H
#define CALLBRIDGE_CCURL_H

#include <curl/curl.h>
#include <stddef.h>

static inline CURLcode CCurl_setLong(CURL *easy, CURLoption option, long value) {
    return curl_easy_setopt(easy, option, value);
}

static inline CURLcode CCurl_setOffset(CURL *easy, CURLoption option, curl_off_t value) {
    return curl_easy_setopt(easy, option, value);
}

static inline CURLcode CCurl_setString(CURL *easy, CURLoption option, const char *value) {
    return curl_easy_setopt(easy, option, value);
}

static inline CURLcode CCurl_setPointer(CURL *easy, CURLoption option, void *value) {
    return curl_easy_setopt(easy, option, value);
}

static inline CURLcode CCurl_setList(CURL *easy, CURLoption option, struct curl_slist *value) {
    return curl_easy_setopt(easy, option, value);
}

typedef size_t (*CCurl_ByteSink)(char *bytes, size_t size, size_t count, void *context);

static inline CURLcode CCurl_setByteSink(CURL *easy, CURLoption option, CCurl_ByteSink sink) {
    return curl_easy_setopt(easy, option, sink);
}

static inline CURLcode CCurl_setOpenSocket(CURL *easy, curl_opensocket_callback callback) {
    return curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, callback);
}

static inline CURLcode CCurl_getLong(CURL *easy, CURLINFO info, long *value) {
    return curl_easy_getinfo(easy, info, value);
}

static inline CURLcode CCurl_getPointer(CURL *easy, CURLINFO info, void **value) {
    return curl_easy_getinfo(easy, info, value);
}

static inline CURLMcode CCurl_setMultiLong(CURLM *multi, CURLMoption option, long value) {
    return curl_multi_setopt(multi, option, value);
}

// The result of a message lies in an anonymous union.
static inline CURLcode CCurl_messageResult(const CURLMsg *message) {
    return message->data.result;
}

// A function-like macro with a cast, which Swift does not import.
static inline curl_socket_t CCurl_badSocket(void) {
    return CURL_SOCKET_BAD;
}

#endif
