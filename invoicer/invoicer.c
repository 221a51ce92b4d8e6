/*
 * invoicer.c - the process: its settings and its verbs.
 */
#include "invoicer/edges/config.h"

#include <stddef.h>

#define JSON_SETTING                                                                               \
    {                                                                                              \
        .name = "json", .kind = SETTING_SWITCH, .usual = "false",                                  \
        .help = "Write JSON for programs instead of text for people.",                             \
        .offset = offsetof(struct invoicer_config, json)                                           \
    }

static const struct setting settings[] = {
    {
        .name = "data",
        .kind = SETTING_TEXT,
        .usual = "data",
        .help =
            "The folder of the invoicer's store. It is a cache of the bucket's topics: lost, it is "
            "read again from them.",
        .offset = offsetof(struct invoicer_config, data),
    },
    {
        .name = "wait",
        .kind = SETTING_DURATION,
        .usual = "PT2M",
        .help = "How long a verb waits for the broker, for its turn to act as the bucket's "
                "invoicer and "
                "for the aggregators, before it gives up with status 75. A close that gave up is "
                "continued by the next one.",
        .offset = offsetof(struct invoicer_config, wait_ms),
    },
    {
        .name = "collection-interval",
        .kind = SETTING_DURATION,
        .usual = "PT1H",
        .help =
            "How long after a billing period's end it can be closed. More waits for late usage and "
            "delays the invoice; what comes later is billed as an adjustment.",
        .offset = offsetof(struct invoicer_config, collection_interval_ms),
    },
};

static const struct setting topics_settings[] = {
    {
        .name = "partitions",
        .kind = SETTING_NUMBER,
        .usual = "4",
        .least = 1,
        .most = 10000,
        .help =
            "Partitions of usage and counters, fixed for good: at most as many aggregators share "
            "the work.",
        .offset = offsetof(struct invoicer_config, partitions),
    },
    {
        .name = "replication",
        .kind = SETTING_NUMBER,
        .usual = "1",
        .least = 1,
        .most = 100,
        .help = "Copies of each partition over the brokers; 3 outlives the loss of one.",
        .offset = offsetof(struct invoicer_config, replication),
    },
    {
        .name = "mode",
        .kind = SETTING_CHOICE,
        .usual = "test",
        .choices = "test|live",
        .help = "Whether the bucket bills real money; keys say which.",
        .offset = offsetof(struct invoicer_config, mode),
    },
    {
        .name = "hash",
        .kind = SETTING_CHOICE,
        .usual = "xxh3",
        .choices = "xxh3|hmac-sha256",
        .help = "What tells duplicates: hmac-sha256 takes a microsecond more an event, and "
                "withstands producers who try to make events collide. Fixed for good.",
        .offset = offsetof(struct invoicer_config, hash),
    },
    JSON_SETTING,
};

static const struct setting keys_settings[] = {
    {
        .name = "role",
        .kind = SETTING_CHOICE,
        .usual = "ingest",
        .choices = "ingest|admin",
        .help = "ingest sends events; admin reads usage, ledger and invoices.",
        .offset = offsetof(struct invoicer_config, role),
    },
    {
        .name = "expires",
        .kind = SETTING_TEXT,
        .help = "When the key stops working, as an RFC 3339 time; never when it isn't given.",
        .offset = offsetof(struct invoicer_config, expires),
    },
    JSON_SETTING,
};

static const struct setting json_settings[] = {JSON_SETTING};

static const struct setting close_settings[] = {
    {
        .name = "at",
        .kind = SETTING_TEXT,
        .required = true,
        .help = "The time of the close (RFC 3339): everything is billed that is due by then.",
        .offset = offsetof(struct invoicer_config, at),
    },
    {
        .name = "only",
        .kind = SETTING_TEXT,
        .help = "Bill this subscription alone.",
        .offset = offsetof(struct invoicer_config, only),
    },
    {
        .name = "out",
        .kind = SETTING_TEXT,
        .help = "A folder for the invoices as JSON, CSV and HTML.",
        .offset = offsetof(struct invoicer_config, out),
    },
    {
        .name = "dry-run",
        .kind = SETTING_SWITCH,
        .usual = "false",
        .help = "Say what would be billed from the usage counted so far, and write nothing.",
        .offset = offsetof(struct invoicer_config, dry_run),
    },
    JSON_SETTING,
};

static const struct setting list_settings[] = {
    {
        .name = "only",
        .kind = SETTING_TEXT,
        .help = "List this subscription's alone.",
        .offset = offsetof(struct invoicer_config, only),
    },
    JSON_SETTING,
};

static const struct setting audit_settings[] = {
    {
        .name = "only",
        .kind = SETTING_TEXT,
        .help = "Audit this subscription's invoices alone.",
        .offset = offsetof(struct invoicer_config, only),
    },
    {
        .name = "dedup-horizon",
        .kind = SETTING_DURATION,
        .least = 1000,
        .most = 3155760000000,
        .help = "The aggregators' own: how old an event may be at its arrival. They say it "
                "themselves, but for those of earlier versions: then it is P35D if it isn't given.",
        .offset = offsetof(struct invoicer_config, horizon_ms),
    },
    JSON_SETTING,
};

static const struct setting backtest_settings[] = {
    {
        .name = "plan",
        .kind = SETTING_TEXT,
        .required = true,
        .help = "The plan to compare with: a key, or a version of it such as team@2.",
        .offset = offsetof(struct invoicer_config, plan),
    },
    {
        .name = "from",
        .kind = SETTING_TEXT,
        .required = true,
        .help = "The beginning of the time that is compared (RFC 3339, a whole minute).",
        .offset = offsetof(struct invoicer_config, from),
    },
    {
        .name = "to",
        .kind = SETTING_TEXT,
        .required = true,
        .help = "Its end, which is excluded.",
        .offset = offsetof(struct invoicer_config, to),
    },
    {
        .name = "page",
        .kind = SETTING_TEXT,
        .help = "A file for the comparison as a page with a chart.",
        .offset = offsetof(struct invoicer_config, page),
    },
    JSON_SETTING,
};

static const struct setting show_settings[] = {
    {
        .name = "csv",
        .kind = SETTING_SWITCH,
        .usual = "false",
        .help = "Write CSV.",
        .offset = offsetof(struct invoicer_config, as_csv),
    },
    {
        .name = "html",
        .kind = SETTING_SWITCH,
        .usual = "false",
        .help = "Write a self-contained HTML page.",
        .offset = offsetof(struct invoicer_config, as_html),
    },
    JSON_SETTING,
};

#define QUESTIONS                                                                                  \
    "\n"                                                                                           \
    "FILE, or standard input, holds one JSON object, or one a line; amounts are\n"                 \
    "decimal strings. With --json each answer is a line. A question that can't be\n"               \
    "answered gets {\"error\": {\"code\", \"pointer\", \"detail\"}} in its place, and the\n"       \
    "exit status is 65. No bucket, broker or store is needed.\n"

static const char backtest_example[] =
    "For example, what the customers of January would have paid by the plan \"team\":\n"
    "\n"
    "  $ invoicer backtest --plan team --from 2026-01-01T00:00:00Z \\\n"
    "      --to 2026-02-01T00:00:00Z --page team.html\n";

static const char rate_example[] =
    "For example, 15,000 units of which each has the price of its own tier:\n"
    "\n"
    "  $ invoicer rate <<END\n"
    "  {\"currency\": \"USD\", \"quantity\": \"15000\",\n"
    "   \"price\": {\"type\": \"tiered\", \"mode\": \"graduated\", \"tiers\": [\n"
    "     {\"upToAmount\": \"1000\", \"unitPrice\": \"0.10\"},\n"
    "     {\"upToAmount\": \"10000\", \"unitPrice\": \"0.05\"},\n"
    "     {\"unitPrice\": \"0.01\"}]}}\n"
    "  END\n"
    "               quantity  price  amount  discount   total\n"
    "  First 1,000     1,000    0.1  100.00      0.00  100.00\n"
    "  Next 9,000      9,000   0.05  450.00      0.00  450.00\n"
    "  Over 10,000     5,000   0.01   50.00      0.00   50.00\n"
    "  Total USD                     600.00      0.00  600.00\n"
    "  Billed quantity: 15,000\n"
    "\n"
    "A question may also have \"discounts\": {\"percentage\", \"usage\"}; in a later\n"
    "slice of a period \"alreadyBilled\": {\"quantity\", \"amount\"}; and before the last\n"
    "one \"lastSlice\": false. Prices: flat, unit, tiered (graduated or volume),\n"
    "package, dynamic, percentage, graduated_percentage, matrix; but for flat with\n"
    "\"minimumAmount\", \"maximumAmount\". A percentage price takes \"events\", a matrix\n"
    "\"quantities\" in place of \"quantity\"; the others may have a "
    "\"unitConversion\".\n" QUESTIONS;

static const char periods_example[] =
    "For example, months that begin on their last day, at midnight in Berlin:\n"
    "\n"
    "  $ invoicer periods <<END\n"
    "  {\"anchor\": \"2024-01-30T23:00:00Z\", \"cadence\": \"P1M\",\n"
    "   \"timeZone\": \"Europe/Berlin\", \"from\": \"2024-02-01T00:00:00Z\", \"count\": 3}\n"
    "  END\n"
    "  period  from                  to\n"
    "       0  2024-01-30T23:00:00Z  2024-02-28T23:00:00Z\n"
    "       1  2024-02-28T23:00:00Z  2024-03-30T23:00:00Z\n"
    "       2  2024-03-30T23:00:00Z  2024-04-29T22:00:00Z\n"
    "\n"
    "Cadences: PT1H, P1D, P1W, P2W, P4W, P1M, P3M, P6M, P12M, P1Y. Without a\n"
    "\"timeZone\" it is UTC. The first period contains \"from\"; period 0 begins at the\n"
    "anchor, those before it have negative numbers.\n" QUESTIONS;

static const char prorate_example[] =
    "For example, a plan left on day 15 of 30 with 7,000 of 10,000 units used:\n"
    "\n"
    "  $ invoicer prorate <<END\n"
    "  {\"mode\": \"max_consumption_based\", \"price\": \"29.00\", \"currency\": \"USD\",\n"
    "   \"period\": {\"from\": \"2026-06-01T00:00:00Z\", \"to\": \"2026-07-01T00:00:00Z\"},\n"
    "   \"at\": \"2026-06-16T00:00:00Z\", \"usage\": \"7000\", \"quota\": \"10000\"}\n"
    "  END\n"
    "  Used up     0.700000000000\n"
    "  Credit USD            8.70\n"
    "  Charge USD           20.30\n"
    "\n"
    "Modes: max_consumption_based (the usual one), time_based, none. Without a\n"
    "\"quota\" time alone decides.\n" QUESTIONS;
#define NOW_SETTING                                                                                \
    {                                                                                              \
        .name = "at", .kind = SETTING_TEXT,                                                        \
        .help = "Do as if it were this time (RFC 3339), for imports and for trying things out; "   \
                "the clock's when it isn't given.",                                                \
        .offset = offsetof(struct invoicer_config, at)                                             \
    }

static const struct setting subscriptions_list_settings[] = {
    {
        .name = "customer",
        .kind = SETTING_TEXT,
        .help = "List this customer's alone.",
        .offset = offsetof(struct invoicer_config, customer),
    },
    NOW_SETTING,
    JSON_SETTING,
};

static const struct setting subscription_settings[] = {NOW_SETTING, JSON_SETTING};

static const struct setting change_settings[] = {
    {
        .name = "plan",
        .kind = SETTING_TEXT,
        .required = true,
        .help = "The plan to change to: its key, and @VERSION for another than the newest.",
        .offset = offsetof(struct invoicer_config, plan),
    },
    {
        .name = "timing",
        .kind = SETTING_TEXT,
        .usual = "immediate",
        .help = "When: immediate, with a credit for what is paid and not used up; "
                "next_billing_cycle, without one; or an RFC 3339 time of a whole minute.",
        .offset = offsetof(struct invoicer_config, timing),
    },
    {
        .name = "anchor",
        .kind = SETTING_TEXT,
        .help = "The new subscription's billingAnchor (RFC 3339); the old one's when it isn't "
                "given, so that invoices stay on their day.",
        .offset = offsetof(struct invoicer_config, anchor),
    },
    {
        .name = "dry-run",
        .kind = SETTING_SWITCH,
        .usual = "false",
        .help = "Estimate: say what the change would come to, credit and first invoice, and write "
                "nothing.",
        .offset = offsetof(struct invoicer_config, dry_run),
    },
    NOW_SETTING,
    JSON_SETTING,
};

static const struct setting cancel_settings[] = {
    {
        .name = "timing",
        .kind = SETTING_TEXT,
        .usual = "immediate",
        .help = "When it ends: immediate, next_billing_cycle, or an RFC 3339 time of a whole "
                "minute.",
        .offset = offsetof(struct invoicer_config, timing),
    },
    NOW_SETTING,
    JSON_SETTING,
};

static const struct setting plans_show_settings[] = {
    {
        .name = "draft",
        .kind = SETTING_SWITCH,
        .usual = "false",
        .help = "Show the draft, with what stands in the way of publishing it.",
        .offset = offsetof(struct invoicer_config, draft),
    },
    JSON_SETTING,
};

static const struct setting plans_when_settings[] = {
    {
        .name = "at",
        .kind = SETTING_TEXT,
        .help = "From when on (RFC 3339), a time to come; at once when it isn't given.",
        .offset = offsetof(struct invoicer_config, at),
    },
    JSON_SETTING,
};

#define STRIPE_SETTINGS                                                                            \
    {.name = "stripe-key",                                                                         \
     .kind = SETTING_SECRET,                                                                       \
     .required = true,                                                                             \
     .help = "The file of Stripe's API key: a restricted one (rk_), of test mode unless the "      \
             "bucket's mode is live.",                                                             \
     .offset = offsetof(struct invoicer_config, stripe_key)},                                      \
        {.name = "stripe-url",                                                                     \
         .kind = SETTING_TEXT,                                                                     \
         .usual = "https://api.stripe.com",                                                        \
         .help = "Where Stripe's API is: another place is for tests, on this machine.",            \
         .offset = offsetof(struct invoicer_config, stripe_url)},                                  \
    {                                                                                              \
        .name = "stripe-version", .kind = SETTING_TEXT, .usual = "2026-10-28.endive",              \
        .help = "The version of Stripe's API that is spoken.",                                     \
        .offset = offsetof(struct invoicer_config, stripe_version)                                 \
    }

static const struct setting stripe_connect_settings[] = {
    STRIPE_SETTINGS,
    {
        .name = "from",
        .kind = SETTING_TEXT,
        .help = "From which billing boundary on invoices are Stripe's (RFC 3339): those of earlier "
                "ones were collected otherwise. Now, unless it is given.",
        .offset = offsetof(struct invoicer_config, from),
    },
    JSON_SETTING,
};

static const struct setting stripe_check_settings[] = {STRIPE_SETTINGS, JSON_SETTING};

static const struct setting stripe_deliver_settings[] = {
    STRIPE_SETTINGS,
    {
        .name = "stripe-rate",
        .kind = SETTING_NUMBER,
        .usual = "20",
        .least = 1,
        .most = 10000,
        .help =
            "Requests a second to each of Stripe's endpoints; Stripe takes 25 of most accounts.",
        .offset = offsetof(struct invoicer_config, stripe_rate),
    },
    {
        .name = "stripe-account-rate",
        .kind = SETTING_NUMBER,
        .least = 0,
        .most = 100000,
        .help =
            "Requests a second in all: 80 live, 20 in test mode, unless it is given. Stripe takes "
            "100 and 25 of most accounts.",
        .offset = offsetof(struct invoicer_config, stripe_account_rate),
    },
    {
        .name = "stripe-collection",
        .kind = SETTING_CHOICE,
        .usual = "charge_automatically",
        .choices = "charge_automatically|send_invoice",
        .help = "Whether Stripe charges the customer's saved way to pay, or mails the invoice.",
        .offset = offsetof(struct invoicer_config, stripe_collection),
    },
    {
        .name = "stripe-days-until-due",
        .kind = SETTING_NUMBER,
        .usual = "30",
        .least = 0,
        .most = 365,
        .help = "Of an invoice that is mailed: the days until it is due.",
        .offset = offsetof(struct invoicer_config, stripe_days_until_due),
    },
    {
        .name = "held",
        .kind = SETTING_SWITCH,
        .usual = "false",
        .help = "Try those again, too, that are held: once what was said of them is mended.",
        .offset = offsetof(struct invoicer_config, tries_held),
    },
    JSON_SETTING,
};

static const struct command commands[] = {
    {.name = "serve",
     .arguments = "",
     .help = "Act as the bucket's invoicer and answer HTTP until SIGTERM",
     .run = verb_serve},
    {.name = "topics create",
     .arguments = "",
     .help = "Create the bucket's topics and its record",
     .settings = topics_settings,
     .setting_count = ARRAY_LEN(topics_settings),
     .run = verb_topics_create},
    {.name = "keys create",
     .arguments = "",
     .help = "Make an API key and show it, once",
     .settings = keys_settings,
     .setting_count = ARRAY_LEN(keys_settings),
     .run = verb_keys_create},
    {.name = "keys list",
     .arguments = "",
     .help = "List the API keys by id",
     .settings = json_settings,
     .setting_count = ARRAY_LEN(json_settings),
     .run = verb_keys_list},
    {.name = "keys revoke",
     .arguments = "KEY_ID",
     .help = "Let a key expire now",
     .run = verb_keys_revoke},
    {.name = "catalog apply",
     .arguments = "FILE",
     .help = "Add or replace what a catalog file names, all or nothing",
     .settings = json_settings,
     .setting_count = ARRAY_LEN(json_settings),
     .run = verb_catalog_apply},
    {.name = "catalog diff",
     .arguments = "FILE",
     .help = "Say what applying a file would change",
     .settings = json_settings,
     .setting_count = ARRAY_LEN(json_settings),
     .run = verb_catalog_diff},
    {.name = "catalog get",
     .arguments = "[RECORD]",
     .help = "Write the catalog as a file, or one record such as plan/pro@1",
     .settings = json_settings,
     .setting_count = ARRAY_LEN(json_settings),
     .run = verb_catalog_get},
    {.name = "plans list",
     .arguments = "",
     .help = "List the plans, each version and draft with its status",
     .settings = json_settings,
     .setting_count = ARRAY_LEN(json_settings),
     .run = verb_plans_list},
    {.name = "plans show",
     .arguments = "KEY[@VERSION]",
     .help = "Show a plan: the version for sale, else its draft, else its newest version",
     .settings = plans_show_settings,
     .setting_count = ARRAY_LEN(plans_show_settings),
     .run = verb_plans_show},
    {.name = "plans draft",
     .arguments = "FILE",
     .help = "Keep one plan as a draft, new or in place of the last, and say what it lacks",
     .settings = json_settings,
     .setting_count = ARRAY_LEN(json_settings),
     .run = verb_plans_draft},
    {.name = "plans publish",
     .arguments = "KEY",
     .help = "Make a plan's draft its next version",
     .settings = plans_when_settings,
     .setting_count = ARRAY_LEN(plans_when_settings),
     .run = verb_plans_publish},
    {.name = "plans archive",
     .arguments = "KEY[@VERSION]",
     .help = "Sell a plan, or one version of it, no longer; who has it keeps it",
     .settings = plans_when_settings,
     .setting_count = ARRAY_LEN(plans_when_settings),
     .run = verb_plans_archive},
    {.name = "plans delete",
     .arguments = "KEY",
     .help = "Delete a plan's draft",
     .settings = json_settings,
     .setting_count = ARRAY_LEN(json_settings),
     .run = verb_plans_delete},
    {.name = "features archive",
     .arguments = "KEY",
     .help = "Let no new rate card have a feature; those that have it keep it, for good",
     .settings = json_settings,
     .setting_count = ARRAY_LEN(json_settings),
     .run = verb_features_archive},
    {.name = "subscriptions list",
     .arguments = "",
     .help = "List the subscriptions with their status",
     .settings = subscriptions_list_settings,
     .setting_count = ARRAY_LEN(subscriptions_list_settings),
     .run = verb_subscriptions_list},
    {.name = "subscriptions show",
     .arguments = "SUBSCRIPTION",
     .help = "Show a subscription with its status and running period",
     .settings = subscription_settings,
     .setting_count = ARRAY_LEN(subscription_settings),
     .run = verb_subscriptions_show},
    {.name = "subscriptions change",
     .arguments = "SUBSCRIPTION",
     .help = "Change to another plan or version: the subscription ends, the next one begins",
     .settings = change_settings,
     .setting_count = ARRAY_LEN(change_settings),
     .run = verb_subscriptions_change},
    {.name = "subscriptions cancel",
     .arguments = "SUBSCRIPTION",
     .help = "Give a subscription an end",
     .settings = cancel_settings,
     .setting_count = ARRAY_LEN(cancel_settings),
     .run = verb_subscriptions_cancel},
    {.name = "subscriptions restore",
     .arguments = "SUBSCRIPTION",
     .help = "Take a cancellation or a change back that hasn't taken effect",
     .settings = subscription_settings,
     .setting_count = ARRAY_LEN(subscription_settings),
     .run = verb_subscriptions_restore},
    {.name = "subscriptions delete",
     .arguments = "SUBSCRIPTION",
     .help = "Delete a subscription that hasn't begun",
     .settings = subscription_settings,
     .setting_count = ARRAY_LEN(subscription_settings),
     .run = verb_subscriptions_delete},
    {.name = "close",
     .arguments = "",
     .help = "Bill everything that is due by a time",
     .settings = close_settings,
     .setting_count = ARRAY_LEN(close_settings),
     .run = verb_close},
    {.name = "invoices list",
     .arguments = "",
     .help = "List the invoices",
     .settings = list_settings,
     .setting_count = ARRAY_LEN(list_settings),
     .run = verb_invoices_list},
    {.name = "invoices show",
     .arguments = "INVOICE",
     .help = "Show an invoice",
     .settings = show_settings,
     .setting_count = ARRAY_LEN(show_settings),
     .run = verb_invoices_show},
    {.name = "explain",
     .arguments = "INVOICE",
     .help = "Show the way from an invoice's lines to windows and log positions",
     .settings = json_settings,
     .setting_count = ARRAY_LEN(json_settings),
     .run = verb_explain},
    {.name = "stripe connect",
     .arguments = "",
     .help = "Say which Stripe account is the bucket's, or give it another key",
     .settings = stripe_connect_settings,
     .setting_count = ARRAY_LEN(stripe_connect_settings),
     .run = verb_stripe_connect},
    {.name = "stripe deliver",
     .arguments = "[INVOICE]",
     .help = "Hand the invoices to Stripe that aren't there yet, each once",
     .settings = stripe_deliver_settings,
     .setting_count = ARRAY_LEN(stripe_deliver_settings),
     .run = verb_stripe_deliver},
    {.name = "stripe status",
     .arguments = "",
     .help = "Say which invoices are at Stripe, which are held, and why",
     .settings = json_settings,
     .setting_count = ARRAY_LEN(json_settings),
     .run = verb_stripe_status},
    {.name = "stripe check",
     .arguments = "",
     .help = "Compare what Stripe holds with what was handed over, and note what is paid",
     .settings = stripe_check_settings,
     .setting_count = ARRAY_LEN(stripe_check_settings),
     .run = verb_stripe_check},
    {.name = "audit",
     .arguments = "[INVOICE]",
     .help = "Recompute invoices from the log with other code, and compare every cent",
     .settings = audit_settings,
     .setting_count = ARRAY_LEN(audit_settings),
     .run = verb_audit},
    {.name = "backtest",
     .arguments = "",
     .help = "What every subscription would have paid by another plan",
     .example = backtest_example,
     .settings = backtest_settings,
     .setting_count = ARRAY_LEN(backtest_settings),
     .run = verb_backtest},
    {.name = "rate",
     .arguments = "[FILE]",
     .help = "Price quantities: try a price before it is published",
     .example = rate_example,
     .stands_alone = true,
     .settings = json_settings,
     .setting_count = ARRAY_LEN(json_settings),
     .run = verb_rate},
    {.name = "periods",
     .arguments = "[FILE]",
     .help = "List the periods that recur from an anchor in a time zone",
     .example = periods_example,
     .stands_alone = true,
     .settings = json_settings,
     .setting_count = ARRAY_LEN(json_settings),
     .run = verb_periods},
    {.name = "prorate",
     .arguments = "[FILE]",
     .help = "Say what of a price is used up at an instant, and the credit for the rest",
     .example = prorate_example,
     .stands_alone = true,
     .settings = json_settings,
     .setting_count = ARRAY_LEN(json_settings),
     .run = verb_prorate},
};

#define ABOUT                                                                                      \
    "The money side of Tollway: keeps the catalog of meters, plans and subscriptions, closes "     \
    "billing periods and makes one invoice for each subscription and boundary."

int main(int argc, char **argv)
{
    static const struct program program = {
        .name = "invoicer",
        .about = ABOUT,
        .has_common_settings = true,
        .settings = settings,
        .setting_count = ARRAY_LEN(settings),
        .commands = commands,
        .command_count = ARRAY_LEN(commands),
        .config_size = sizeof(struct invoicer_config),
    };

    return program_run(&program, argc, argv);
}
