/*
 * An event of the gateway's batch: its attributes and properties as they are. Properties that its
 * JSON would have inside an object make that object, which is all that a path into it finds there.
 */
#include "proto/gateway_batch.h"
#include "ingest/rules/cloudevents.h"

static void refuse_fault(const struct gateway_event *gateway, struct arena *arena,
                         struct refusal *refusal)
{
    if (gateway->fault == GATEWAY_BAD_STRING)
        refuse(refusal, arena, REFUSAL_INVALID_STRING, text_of(""),
               "a string of the event isn't UTF-8 without NUL: correct it");
    else if (gateway->fault == GATEWAY_BAD_PATH)
        refuse(refusal, arena, REFUSAL_INVALID_DATA, text_of("/data"),
               "a property's path can't be read: write it like $.total or $.http.method");
    else if (gateway->fault == GATEWAY_PATHS_COLLIDE)
        refuse(refusal, arena, REFUSAL_DUPLICATE_KEY, text_of("/data"),
               "two properties have one path, or one lies inside the other: send one of them");
}

void event_form_init(struct event_form *form, struct arena *arena)
{
    form->arena = arena;
    form->naming = UINT32_MAX;
    form->source = text_of(NULL);
    form->places.are_known = false;
    form->guesses[0] = NULL;
    form->next = 0;
}

/* Field by field: as a whole it would be loaded before it is stored, and there aren't as many
 * registers. */
static void copy(struct event_form *form, const struct gateway_event *gateway, struct event *event)
{
    event->document = NULL;
    event->gateway = gateway;
    event->places = &form->places;
    event->id = gateway->id;
    event->source = gateway->source;
    event->type = gateway->type;
    event->subject = gateway->subject;
    event->subscription = gateway->subscription;
    event->time = gateway->time;
    event->time_is_absent = !gateway->has_time;
    event->has_sequence = gateway->has_sequence;
    event->sequence_is_faulty = false;
    event->sequence = gateway->sequence;
    event->data = JSON_NONE;
    event->shape = 0;
    event->guess = form->guesses[form->next];
}

int event_from_gateway(struct event_form *form, const struct gateway_event *gateway,
                       struct event *event, struct refusal *refusal)
{
    int r;

    if (gateway->fault != GATEWAY_SOUND) {
        refuse_fault(gateway, form->arena, refusal);
        return EVENT_REFUSED;
    }
    r = cloudevents_check(gateway, form, refusal);
    if (r)
        return r;
    if (gateway->naming != form->naming) {
        form->places.are_known = false;
        form->naming = gateway->naming;
        form->source = gateway->source;
    }
    copy(form, gateway, event);
    return 0;
}

struct text event_gateway_id(const struct gateway_event *gateway)
{
    return gateway->id.length > EVENT_ID_BYTES_MAX ? text_of(NULL) : gateway->id;
}

void event_form_prefetch(struct event_form *form, const struct catalog *catalog,
                         const struct gateway_reader *reader, size_t index, size_t event_count)
{
    size_t left = event_count - index;

    form->next = index % CATALOG_PREFETCH_MAX;
    if (form->next == 0)
        catalog_prefetch(catalog, gateway_batch_owners(reader) + index,
                         left < CATALOG_PREFETCH_MAX ? left : CATALOG_PREFETCH_MAX, form->guesses);
}
