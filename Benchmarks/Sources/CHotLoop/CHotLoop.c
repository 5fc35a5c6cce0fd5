// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

#include "CHotLoop.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { slotCount = 128, slotBytes = 2048, headerBytes = 12, tagBytes = 16 };

typedef struct {
    EVP_CIPHER_CTX *cipher;
    uint8_t salt[12];
    uint32_t ssrc;
    uint32_t rollover;
    uint16_t sequenceOffset;
    uint32_t timestampOffset;
} subscriber;

struct CHotLoop {
    subscriber *subscribers;
    uint32_t count;
    uint8_t *slots;
    uint32_t lengths[slotCount];
    uint32_t used;
    uint32_t sequence;
};

CHotLoop *CHotLoop_create(uint32_t count) {
    CHotLoop *loop = calloc(1, sizeof *loop);
    if (loop == NULL) return NULL;
    loop->subscribers = calloc(count, sizeof *loop->subscribers);
    loop->slots = aligned_alloc(64, slotCount * slotBytes);
    if (loop->subscribers == NULL || loop->slots == NULL) {
        CHotLoop_destroy(loop);
        return NULL;
    }
    loop->count = count;
    for (uint32_t i = 0; i < count; i++) {
        subscriber *to = &loop->subscribers[i];
        uint8_t key[16];
        memset(key, (int)i, sizeof key);
        memset(to->salt, (int)i + 1, sizeof to->salt);
        to->ssrc = i;
        to->sequenceOffset = (uint16_t)(i * 7);
        to->timestampOffset = i * 90;
        to->cipher = EVP_CIPHER_CTX_new();
        if (to->cipher == NULL || EVP_EncryptInit_ex(to->cipher, EVP_aes_128_gcm(), NULL, key, to->salt) != 1) {
            CHotLoop_destroy(loop);
            return NULL;
        }
    }
    return loop;
}

void CHotLoop_destroy(CHotLoop *loop) {
    for (uint32_t i = 0; loop->subscribers != NULL && i < loop->count; i++)
        EVP_CIPHER_CTX_free(loop->subscribers[i].cipher);
    free(loop->subscribers);
    free(loop->slots);
    free(loop);
}

static int sendTo(CHotLoop *loop, subscriber *to, const uint8_t *payload, uint32_t length) {
    uint8_t *slot = loop->slots + loop->used * slotBytes;
    uint16_t sequence = (uint16_t)(loop->sequence - to->sequenceOffset);
    uint32_t timestamp = loop->sequence * 3000 - to->timestampOffset;
    slot[0] = 0x80;
    slot[1] = 96;
    slot[2] = (uint8_t)(sequence >> 8);
    slot[3] = (uint8_t)sequence;
    uint32_t words[2] = { __builtin_bswap32(timestamp), __builtin_bswap32(to->ssrc) };
    memcpy(slot + 4, words, sizeof words);
    if (sequence == 0) to->rollover++;
    uint8_t iv[12];
    memcpy(iv, to->salt, sizeof iv);
    for (int i = 0; i < 4; i++) iv[2 + i] ^= (uint8_t)(to->ssrc >> (24 - 8 * i));
    for (int i = 0; i < 4; i++) iv[6 + i] ^= (uint8_t)(to->rollover >> (24 - 8 * i));
    iv[10] ^= (uint8_t)(sequence >> 8);
    iv[11] ^= (uint8_t)sequence;
    uint8_t *body = slot + headerBytes;
    int written;
    if (EVP_EncryptInit_ex(to->cipher, NULL, NULL, NULL, iv) != 1
        || EVP_EncryptUpdate(to->cipher, NULL, &written, slot, headerBytes) != 1
        || EVP_EncryptUpdate(to->cipher, body, &written, payload, (int)length) != 1
        || EVP_EncryptFinal_ex(to->cipher, body + length, &written) != 1
        || EVP_CIPHER_CTX_ctrl(to->cipher, EVP_CTRL_AEAD_GET_TAG, tagBytes, body + length) != 1) return 0;
    loop->lengths[loop->used] = headerBytes + length + tagBytes;
    loop->used = (loop->used + 1) % slotCount;
    return 1;
}

int CHotLoop_run(CHotLoop *loop, uint32_t packets, const uint8_t *payload, uint32_t length) {
    for (uint32_t packet = 0; packet < packets; packet++) {
        loop->sequence++;
        for (uint32_t i = 0; i < loop->count; i++)
            if (!sendTo(loop, &loop->subscribers[i], payload, length)) return 0;
    }
    return 1;
}
