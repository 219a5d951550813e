/* Open loop: requests leave at a constant rate, whether or not earlier ones were answered.
 *
 * open_loop <host> <port> <path> <rate> <seconds> <connections> <warm> <seed> <requests file> <right> [<header: value>]…
 *
 * A latency counts from the moment at which its request was due, so that a server that stalls is charged for
 * every request that waited meanwhile: no coordinated omission. A request without an answer counts with the
 * time it waited. The file and the printed line are those of draw.lua; the percentiles are of right answers
 * and of requests without one, not of refusals. What no connection was free for was never sent ("unsent", which
 * "lost" includes). "served_p99" is of right answers alone, from when they were sent: what the server owes.
 * Where <warm> is 1, every connection is opened and used once before the clock starts.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { LARGEST_ANSWER = 16384, EVENTS = 512, OPENED_AT_ONCE = 64, GRACE_SECONDS = 5, WAKE_MILLISECONDS = 50,
       WARM_SECONDS = 15 };

struct text { char *bytes; size_t size; };

struct connection {
    int fd;               /* -1: not open */
    int busy;
    double due, begun;    /* seconds after the start */
    const struct text *request;
    size_t sent, have;
    char answer[LARGEST_ANSWER + 1];
};

static struct sockaddr_in server;
static struct connection *connections, **idle;
static struct text *requests;
static const char *right_text;
static double *latencies, *served, started_at, last_answer;
static long idle_count, request_count, waited, right, refused, answers, lost, latency_count;
static int poller;
static uint64_t state;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static const struct text *drawn(void)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17; /* xorshift64 */
    return &requests[state % (uint64_t)request_count];
}

static void read_requests(const char *path, const char *head)
{
    FILE *file = fopen(path, "rb");
    size_t size;
    if (!file) fail(path);
    for (; fscanf(file, "%zu", &size) == 1; request_count++) {
        fgetc(file); /* the line feed */
        requests = realloc(requests, (size_t)(request_count + 1) * sizeof *requests);
        char *bytes = malloc(strlen(head) + 64 + size);
        if (!requests || !bytes) fail("memory");
        int length = sprintf(bytes, "%sContent-Length: %zu\r\n\r\n", head, size);
        if (fread(bytes + length, 1, size, file) != size) fail(path);
        requests[request_count] = (struct text){bytes, (size_t)length + size};
    }
    fclose(file);
    if (!request_count) fail("no request");
}

static void open_connection(struct connection *it)
{
    int yes = 1;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = it};
    it->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (it->fd < 0) fail("socket");
    setsockopt(it->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(it->fd, (struct sockaddr *)&server, sizeof server) && errno != EINPROGRESS) fail("connect");
    if (epoll_ctl(poller, EPOLL_CTL_ADD, it->fd, &event)) fail("epoll_ctl");
}

static void finish(struct connection *it)
{
    it->busy = 0;
    idle[idle_count++] = it;
}

static void lose(struct connection *it)
{
    close(it->fd);
    it->fd = -1;
    if (!it->busy) return;
    latencies[latency_count++] = now() - started_at - it->due;
    lost++;
    finish(it);
}

static void push(struct connection *it)
{
    while (it->busy && it->sent < it->request->size) {
        ssize_t size = send(it->fd, it->request->bytes + it->sent, it->request->size - it->sent, MSG_NOSIGNAL);
        if (size < 0 && errno == EAGAIN) return;
        if (size < 0) { lose(it); return; }
        it->sent += (size_t)size;
    }
}

static void begin(struct connection *it, double due)
{
    it->busy = 1, it->due = due, it->begun = now() - started_at, it->request = drawn(), it->sent = it->have = 0;
    if (it->fd < 0) open_connection(it);
    push(it);
}

/* Return the length of the whole answer, 0 while it cannot be told yet, -1 if it never can. */
static long whole_length(struct connection *it)
{
    it->answer[it->have] = 0;
    char *end = strstr(it->answer, "\r\n\r\n");
    char *length = strcasestr(it->answer, "\r\ncontent-length:");
    char *chunked = strcasestr(it->answer, "\r\ntransfer-encoding: chunked");
    if (!end) return 0;
    if (length && length < end) return end + 4 - it->answer + atol(length + strlen("\r\ncontent-length:"));
    if (!chunked || chunked > end) return -1;
    char *last = strstr(end + 2, "\r\n0\r\n\r\n");
    return last ? last + 7 - it->answer : 0;
}

static void take(struct connection *it)
{
    long length = whole_length(it);
    if (length < 0 || length > LARGEST_ANSWER) { lose(it); return; }
    if (!length || (long)it->have < length) return;
    last_answer = now() - started_at;
    answers++;
    if (!strncmp(it->answer, "HTTP/1.1 503", 12)) refused++;
    if (!strncmp(it->answer, "HTTP/1.1 200", 12) && memmem(it->answer, it->have, right_text, strlen(right_text))) {
        served[right++] = last_answer - it->begun;
        latencies[latency_count++] = last_answer - it->due;
    }
    finish(it);
}

static void pull(struct connection *it)
{
    while (it->fd >= 0) {
        ssize_t size = recv(it->fd, it->answer + it->have, LARGEST_ANSWER - it->have, 0);
        if (size < 0 && errno == EAGAIN) return;
        if (size <= 0 || !it->busy) { lose(it); return; }
        it->have += (size_t)size;
        take(it);
    }
}

static void wait_until(int timer, double moment)
{
    struct itimerspec at = {.it_value = {(time_t)moment, (long)((moment - (double)(time_t)moment) * 1e9)}};
    struct epoll_event events[EVENTS];
    uint64_t expirations;
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
    int count = epoll_wait(poller, events, EVENTS, WAKE_MILLISECONDS);
    for (int index = 0; index < count; index++) {
        struct connection *it = events[index].data.ptr;
        if (!it) { if (read(timer, &expirations, sizeof expirations) < 0 && errno != EAGAIN) fail("timer"); continue; }
        if (it->fd >= 0 && events[index].events & EPOLLOUT) push(it);
        if (it->fd >= 0 && events[index].events & ~(uint32_t)EPOLLOUT) pull(it);
    }
}

/* Open every connection and use it once; afterwards all are idle and nothing is counted. */
static void warm_up(int timer, long count)
{
    long opened = 0;
    idle_count = 0;
    started_at = now();
    while (idle_count < count && now() - started_at < WARM_SECONDS) {
        while (opened < count && opened - idle_count < OPENED_AT_ONCE)
            begin(&connections[opened++], 0);
        wait_until(timer, now() + 1);
    }
    if (idle_count < count) fail("connections cannot be opened");
    right = refused = answers = lost = latency_count = 0;
}

static void run(double rate, double seconds, long count, int warm)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    long total = (long)(rate * seconds), next = 0;
    if (timer < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, timer, &event)) fail("timerfd");
    if (warm) warm_up(timer, count);
    started_at = now();
    for (double time = 0; time < seconds || (idle_count < count && time < seconds + GRACE_SECONDS); time = now() - started_at) {
        while (time < seconds && next < total && (double)next / rate <= time && idle_count)
            begin(idle[--idle_count], (double)next++ / rate);
        double soon = idle_count && next < total && time < seconds ? (double)next / rate : time + 1;
        wait_until(timer, started_at + soon);
    }
    for (long index = 0; index < count; index++)
        if (connections[index].busy) lose(&connections[index]);
    for (waited = total - next; next < total; next++)
        latencies[latency_count++] = seconds - (double)next / rate;
}

static int ascending(const void *left, const void *other)
{
    double difference = *(const double *)left - *(const double *)other;
    return (difference > 0) - (difference < 0);
}

static double percentile(const double *sorted, long count, double share)
{
    return count ? 1e6 * sorted[(long)(share * (double)(count - 1))] : 0;
}

int main(int size, char **words)
{
    if (size < 11) {
        fprintf(stderr, "usage: see the head of open_loop.c\n");
        return 2;
    }
    double rate = atof(words[4]), seconds = atof(words[5]);
    long count = atol(words[6]);
    char head[4096];
    int length = snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: %s:%s\r\n", words[3], words[1], words[2]);
    for (int index = 11; index < size; index++)
        length += snprintf(head + length, sizeof head - (size_t)length, "%s\r\n", words[index]);
    server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(words[2]))};
    if (inet_pton(AF_INET, words[1], &server.sin_addr) != 1) fail("host");
    state = 0x9E3779B97F4A7C15u ^ (uint64_t)atol(words[8]);
    right_text = words[10];
    read_requests(words[9], head);
    size_t most = (size_t)(rate * seconds) + (size_t)count + 1;
    latencies = malloc(sizeof *latencies * most);
    served = malloc(sizeof *served * most);
    connections = calloc((size_t)count, sizeof *connections);
    idle = calloc((size_t)count, sizeof *idle);
    if (!latencies || !served || !connections || !idle) fail("memory");
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    poller = epoll_create1(0);
    prctl(PR_SET_TIMERSLACK, 1);
    while (idle_count < count) {
        connections[idle_count].fd = -1;
        idle[idle_count] = &connections[idle_count];
        idle_count++;
    }
    run(rate, seconds, count, atoi(words[7]));
    qsort(latencies, (size_t)latency_count, sizeof *latencies, ascending);
    qsort(served, (size_t)right, sizeof *served, ascending);
    printf("RESULT {\"right\": %ld, \"answers\": %ld, \"refused\": %ld, \"seconds\": %.6f, \"lost\": %ld, "
           "\"unsent\": %ld, \"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f, \"served_p99\": %.1f}\n",
           right, answers, refused, last_answer > seconds ? last_answer : seconds, lost + waited, waited,
           percentile(latencies, latency_count, 0.5), percentile(latencies, latency_count, 0.99),
           percentile(latencies, latency_count, 0.999), percentile(latencies, latency_count, 1),
           percentile(served, right, 0.99));
    return 0;
}
