/*
 * An event of the gateway's batch: its attributes as they are, its data as the document that its
 * JSON would give. Properties come sorted by path, none inside another, so each follows the last
 * one from where their paths part: what is open below that is closed, what is new is opened.
 *
 * An event of the last one's shape would get the same nodes: it only puts its values into them.
 */
#include "proto/gateway_batch.h"
#include "ingest/rules/cloudevents.h"

#include <assert.h>

enum { FIRST_MEMBER = 1 }; /* its node: the id, where there is one */

struct branch {
    struct json_document *document;
    uint32_t *nodes; /* of the properties, which are given to them one by one */
    uint32_t open[CATALOG_PATH_STEPS_MAX + 1]; /* data, then an object for each step but the last */
    size_t depth;                              /* objects open below data */
    const struct catalog_path *path;           /* of the last property; NULL: none yet */
    bool is_full;
};

/* The only attribute that has a node: for the answer, when the event is refused. */
static void add_id(struct branch *branch, struct text id)
{
    struct json_place place = {.parent = 0, .name = text_of("id")};

    if (!text_is_absent(id) && json_add(branch->document, &place, NODE_STRING, id) == JSON_NONE)
        branch->is_full = true;
}

static void close_to(struct branch *branch, size_t depth)
{
    for (; branch->depth > depth; branch->depth--)
        json_close(branch->document, branch->open[branch->depth]);
}

static void open_step(struct branch *branch, struct text name)
{
    struct json_place place = {.parent = branch->open[branch->depth], .name = name};
    uint32_t index = json_add(branch->document, &place, NODE_OBJECT, text_of(NULL));

    if (index == JSON_NONE)
        branch->is_full = true;
    else
        branch->open[++branch->depth] = index;
}

static size_t common_steps(const struct catalog_path *a, const struct catalog_path *b)
{
    size_t count = 0;

    while (a && count + 1 < a->count && count + 1 < b->count &&
           text_equal(a->steps[count], b->steps[count]))
        count++;
    return count;
}

static enum node_kind kind_of(enum gateway_kind kind)
{
    static const enum node_kind kinds[] = {
        [GATEWAY_NULL] = NODE_NULL,     [GATEWAY_FALSE] = NODE_FALSE,    [GATEWAY_TRUE] = NODE_TRUE,
        [GATEWAY_STRING] = NODE_STRING, [GATEWAY_DECIMAL] = NODE_NUMBER,
    };

    return kinds[kind];
}

static void add_property(struct branch *branch, const struct gateway_property *property)
{
    const struct catalog_path *path = property->path;
    struct json_place place;
    uint32_t node = JSON_NONE;

    assert(path->count > 0);
    close_to(branch, common_steps(branch->path, path));
    while (branch->depth + 1 < path->count && !branch->is_full)
        open_step(branch, path->steps[branch->depth]);
    place = (struct json_place){.parent = branch->open[branch->depth],
                                .name = path->steps[path->count - 1]};
    if (!branch->is_full)
        node = json_add(branch->document, &place, kind_of(property->kind), property->text);
    branch->is_full = node == JSON_NONE;
    *branch->nodes++ = node;
    branch->path = path;
}

static void add_data(struct branch *branch, const struct gateway_event *gateway)
{
    struct json_place place = {.parent = 0, .name = text_of("data")};

    branch->open[0] = json_add(branch->document, &place, NODE_OBJECT, text_of(NULL));
    branch->is_full = branch->is_full || branch->open[0] == JSON_NONE;
    for (size_t i = 0; i < gateway->property_count && !branch->is_full; i++)
        add_property(branch, &gateway->properties[i]);
    if (branch->is_full)
        return;
    close_to(branch, 0);
    json_close(branch->document, branch->open[0]);
}

static void build(struct branch *branch, const struct gateway_event *gateway)
{
    struct json_place root = {.parent = JSON_NONE};

    json_document_reset(branch->document);
    if (json_add(branch->document, &root, NODE_OBJECT, text_of(NULL)) == JSON_NONE) {
        branch->is_full = true;
        return;
    }
    add_id(branch, gateway->id);
    if (gateway->fault == GATEWAY_SOUND)
        add_data(branch, gateway);
    json_close(branch->document, 0);
}

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

static void put_values(struct event_form *form, const struct gateway_event *gateway)
{
    json_put(form->document, FIRST_MEMBER, NODE_STRING, gateway->id);
    for (size_t i = 0; i < gateway->property_count; i++) {
        const struct gateway_property *property = &gateway->properties[i];

        json_put(form->document, form->properties[i], kind_of(property->kind), property->text);
    }
}

static void build_anew(struct event_form *form, const struct gateway_event *gateway,
                       struct refusal *refusal)
{
    struct branch branch = {.document = form->document, .nodes = form->properties};

    build(&branch, gateway);
    refuse_fault(gateway, form->document->strings, refusal);
    if (branch.is_full)
        refuse(refusal, form->document->strings, REFUSAL_TOO_LONG, text_of(""),
               "the event has more properties than it may: leave some out");
    form->shape = branch.is_full ? 0 : gateway->shape;
    form->data = branch.open[0];
    form->places.are_known = false;
}

void event_form_init(struct event_form *form, struct json_document *document)
{
    form->document = document;
    form->shape = 0;
    form->type = form->source = text_of(NULL);
    form->places.are_known = false;
}

int event_from_gateway(struct event_form *form, const struct gateway_event *gateway,
                       struct event *event, struct refusal *refusal)
{
    struct event found = {
        .document = form->document,
        .places = &form->places,
        .id = gateway->id,
        .source = gateway->source,
        .type = gateway->type,
        .subject = gateway->subject,
        .subscription = gateway->subscription,
        .time = gateway->time,
        .time_is_absent = !gateway->has_time,
        .has_sequence = gateway->has_sequence,
        .sequence = gateway->sequence,
    };
    int r;

    if (form->shape && form->shape == gateway->shape)
        put_values(form, gateway);
    else
        build_anew(form, gateway, refusal);
    if (refusal->code != REFUSAL_NONE)
        return EVENT_REFUSED;
    found.data = form->data;
    r = cloudevents_check(form->document, &found, form->source, refusal);
    if (r)
        return r;
    form->source = gateway->source;
    form->places.are_known = form->places.are_known && text_is_same(form->type, gateway->type);
    form->type = gateway->type;
    *event = found;
    return 0;
}

void event_prefetch_gateway(const struct catalog *catalog, const struct gateway_reader *reader,
                            size_t index, size_t event_count)
{
    const struct text *owners = gateway_batch_owners(reader);
    size_t left = event_count - index;

    if (index % CATALOG_PREFETCH_MAX == 0)
        catalog_prefetch(catalog, owners + index,
                         left < CATALOG_PREFETCH_MAX ? left : CATALOG_PREFETCH_MAX);
}
