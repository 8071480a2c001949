/* A receiver that is not the limit: answers 200 to every request, reads bodies and throws them away. One thread a connection.
 *
 * Prints its port on 127.0.0.1, and at the end of its standard input "requests bytes" of what arrived. Reads requests with Content-Length
 * only, which is what the engine sends.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static atomic_long requests, bytes;
static const char answer[] = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 16\r\n\r\n{\"success\":true}";

static long length_of(const char *head) {
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, "content-length:", 15) == 0)
            return atol(line + 17);
    return 0;
}

static void *serve(void *given) {
    int peer = (int)(long)given, on = 1;
    size_t room = 1 << 20, held = 0;
    char *buffer = malloc(room + 1);
    setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (;;) {
        char *end;
        buffer[held] = 0;
        while (!(end = strstr(buffer, "\r\n\r\n"))) {
            ssize_t got = held < room ? read(peer, buffer + held, room - held) : 0;
            if (got <= 0)
                goto done;
            held += (size_t)got;
            buffer[held] = 0;
        }
        long body = length_of(buffer);
        size_t start = (size_t)(end - buffer) + 4, have = held - start;
        long missing = body - (long)have;
        if (missing <= 0) { /* the start of the next request stays */
            held = have - (size_t)body;
            memmove(buffer, buffer + start + body, held);
        } else {
            held = 0;
            while (missing > 0) {
                ssize_t got = read(peer, buffer, (size_t)missing < room ? (size_t)missing : room);
                if (got <= 0)
                    goto done;
                missing -= got;
            }
        }
        requests++;
        bytes += body;
        if (write(peer, answer, sizeof answer - 1) < 0)
            break;
    }
done:
    close(peer);
    free(buffer);
    return NULL;
}

static void *watch(void *unused) {
    char byte;
    while (read(0, &byte, 1) > 0)
        ;
    printf("%ld %ld\n", requests, bytes);
    fflush(stdout);
    exit(0);
    return unused;
}

int main(void) {
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    pthread_t thread;
    if (bind(listener, (struct sockaddr *)&at, size) || listen(listener, 128) || getsockname(listener, (struct sockaddr *)&at, &size))
        return 1;
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    pthread_create(&thread, NULL, watch, NULL);
    for (;;) {
        int peer = accept(listener, NULL, NULL);
        if (peer >= 0 && pthread_create(&thread, NULL, serve, (void *)(long)peer) == 0)
            pthread_detach(thread);
    }
}
