#include "invoicer/edges/stripe_deliver.h"

#include "common/base/fault.h"
#include "common/base/monotonic.h"
#include "common/io/http_client.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    TICK_MS = 10,
    IN_FLIGHT_MAX = 40,
    PATIENCE_MS = 60000, /* without Kafka */
    LATER_MAX = 100,     /* invoices that Stripe doesn't take, one after another */
};

struct run {
    struct engine *engine;
    const struct stripe_deliver *deliver;
    struct stripe_jobs *jobs;
    struct stripe_report *report;
    struct stripe_pace pace;
    stripe_deliver_progress *progress;
    void *context;
    uv_loop_t loop;
    uv_timer_t timer;
    struct http_client *client;
    size_t in_flight;
    uint64_t jitter;         /* any numbers */
    int64_t last_well_ms;    /* when Kafka answered last */
    size_t delivered, later; /* as it was when the last invoice was handed over */
    bool is_closing;
    char stop[STRIPE_WHY_MAX]; /* why Stripe refuses us; empty: it doesn't */
    int fault;
};

struct sent {
    struct run *run;
    struct stripe_job *job;
};

static void take_answer(struct run *run, struct stripe_job *job, const struct stripe_answer *answer)
{
    bool slows;
    const char *why;

    run->jitter = run->jitter * 6364136223846793005U + 1442695040888963407U;
    stripe_job_answer(job, answer, run->jitter >> 32, monotonic_ms(), &slows);
    if (slows)
        stripe_pace_slow_down(&run->pace, monotonic_ms());
    why = job->is_customer ? job->way.why : job->flow.why;
    if (job->stage == STRIPE_JOB_ENDED && job->end == STRIPE_FLOW_STOP && !run->stop[0])
        snprintf(run->stop, sizeof(run->stop), "%s", why);
}

static void on_answer(void *context, const struct stripe_answer *answer)
{
    struct sent *sent = context;
    struct run *run = sent->run;

    run->in_flight--;
    /* Given up as we end: what became of it is for the next run. */
    if (!run->is_closing)
        take_answer(run, sent->job, answer);
    free(sent);
}

static void send_one(struct run *run, struct stripe_job *job, const struct stripe_request *request)
{
    struct sent *sent = malloc(sizeof(*sent));

    assert(sent);
    *sent = (struct sent){run, job};
    job->stage = STRIPE_JOB_IN_FLIGHT;
    run->in_flight++;
    stripe_api_send(run->deliver->api, run->client, request, on_answer, sent);
}

/* What may go now. */
static void send_ready(struct run *run)
{
    int64_t now_ms = monotonic_ms();

    for (struct stripe_job *job = stripe_jobs_first(run->jobs);
         job && run->in_flight < IN_FLIGHT_MAX; job = job->next) {
        struct stripe_request request;

        if (job->stage != STRIPE_JOB_READY || job->not_before_ms > now_ms)
            continue;
        stripe_job_request(job, &request);
        if (stripe_pace_take(&run->pace, request.endpoint, now_ms) == 0)
            send_one(run, job, &request);
    }
}

static void show(struct run *run)
{
    const struct stripe_report *report = run->report;
    size_t done = report->delivered + report->held + report->later + report->nothing;
    size_t due = run->deliver->due;
    int64_t eta_ms = stripe_pace_eta_ms(&run->pace, due > done ? due - done : 0);

    if (run->progress)
        run->progress(run->context, done, due, (eta_ms + 999) / 1000);
}

/* Many are left for later one after another: the next ones would be, too. */
static bool is_stripe_away(struct run *run)
{
    const struct stripe_report *report = run->report;

    if (report->delivered != run->delivered) {
        run->delivered = report->delivered;
        run->later = report->later;
    }
    return report->later - run->later >= LATER_MAX;
}

/* Nothing more is begun or sent. */
static bool has_stopped(struct run *run)
{
    return run->stop[0] || is_stripe_away(run);
}

/* Kafka may be away for a while: what is begun goes on. */
static int step_engine(struct run *run)
{
    int r = engine_step(run->engine, 0);

    if (r == 0)
        run->last_well_ms = monotonic_ms();
    else if (r == FAULT_RETRY && monotonic_ms() - run->last_well_ms < PATIENCE_MS)
        r = 0;
    return r ? fault_pass(r) : 0;
}

static int step(struct run *run)
{
    int r = step_engine(run);

    if (!r)
        r = stripe_jobs_settle(run->jobs);
    if (!r && !has_stopped(run))
        r = stripe_jobs_fill(run->jobs);
    if (!r)
        r = stripe_jobs_release(run->jobs);
    if (r)
        return fault_pass(r);
    if (!has_stopped(run))
        send_ready(run);
    show(run);
    return 0;
}

static void on_client_closed(void *context)
{
    (void)context;
}

static void end(struct run *run)
{
    run->is_closing = true;
    uv_timer_stop(&run->timer);
    uv_close((uv_handle_t *)&run->timer, NULL);
    http_client_close(run->client, on_client_closed, NULL);
}

/* What is in flight when Stripe refuses us, or is away, comes back and is written down, then it
 * ends. */
static bool is_over(struct run *run)
{
    return has_stopped(run) ? run->in_flight == 0 : stripe_jobs_are_over(run->jobs);
}

static void on_tick(uv_timer_t *timer)
{
    struct run *run = timer->data;

    run->fault = step(run);
    if (run->fault || is_over(run))
        end(run);
}

static int run_loop(struct run *run)
{
    if (uv_loop_init(&run->loop) || uv_timer_init(&run->loop, &run->timer))
        abort();
    run->timer.data = run;
    run->client = http_client_new(&run->loop);
    uv_timer_start(&run->timer, on_tick, 0, TICK_MS);
    uv_run(&run->loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&run->loop))
        abort();
    return run->fault ? fault_pass(run->fault) : 0;
}

int stripe_deliver_run(struct engine *engine, const struct stripe_deliver *deliver,
                       stripe_deliver_progress *progress, void *context,
                       struct stripe_report *report)
{
    struct run run = {
        .engine = engine,
        .deliver = deliver,
        .report = report,
        .progress = progress,
        .context = context,
        .jitter = (uint64_t)monotonic_ns(),
        .last_well_ms = monotonic_ms(),
    };
    int r;

    memset(report, 0, sizeof(*report));
    run.jobs = stripe_jobs_new(engine, &deliver->orders, report);
    stripe_pace_init(&run.pace, deliver->endpoint_rate, deliver->account_rate, monotonic_ms());
    r = run_loop(&run);
    if (!r && stripe_jobs_sequence(run.jobs) >= 0)
        r = engine_until_sent(engine, stripe_jobs_sequence(run.jobs));
    stripe_jobs_free(run.jobs);
    if (!r && run.stop[0])
        r = fault(FAULT_DENIED, "%s", run.stop);
    return r ? fault_pass(r) : 0;
}
