import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.RocksDBConfigSetter;
import org.apache.kafka.streams.state.Stores;
import org.rocksdb.BlockBasedTableConfig;
import org.rocksdb.BloomFilter;
import org.rocksdb.CompressionType;
import org.rocksdb.Options;

/**
 * The peer: the same windowed, deduplicated, exactly-once count in Kafka Streams.
 *
 * <p>Count BROKERS TOPIC APPLICATION STATE EVENTS PROGRESS TOTALS
 *
 * <p>The Processor API with two RocksDB stores: ids (16 bytes of hash, written through, so that no
 * cache is in the way of what is never read again) and hourly totals (cached until the commit).
 * Jackson's streaming parser over the bytes. Settings that were tried and kept: see below.
 */
public final class Count {
  static final AtomicLong done = new AtomicLong();
  static final Map<String, long[]> totals = new ConcurrentHashMap<>();

  public static final class Rocks implements RocksDBConfigSetter {
    private static final org.rocksdb.Cache cache = new org.rocksdb.LRUCache(512L << 20);
    private final BloomFilter filter = new BloomFilter(10, false);

    @Override
    public void setConfig(String store, Options options, Map<String, Object> configs) {
      BlockBasedTableConfig table = (BlockBasedTableConfig) options.tableFormatConfig();
      table.setBlockCache(cache);
      table.setFilterPolicy(filter);
      table.setOptimizeFiltersForMemory(true);
      options.setTableFormatConfig(table);
      options.setWriteBufferSize(64L << 20);
      options.setMaxWriteBufferNumber(4);
      options.setCompressionType(CompressionType.NO_COMPRESSION);
      options.setOptimizeFiltersForHits(false);
    }

    @Override
    public void close(String store, Options options) {
      filter.close();
    }
  }

  static final class Counter implements Processor<byte[], byte[], Void, Void> {
    private static final byte[] THERE = {1};
    private static final JsonFactory json = new JsonFactory();
    private KeyValueStore<byte[], byte[]> ids;
    private KeyValueStore<byte[], byte[]> hours;
    private String id, source, subscription, time;
    private long micros;

    @Override
    public void init(ProcessorContext<Void, Void> context) {
      ids = context.getStateStore("ids");
      hours = context.getStateStore("hours");
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
      try {
        read(record.value());
      } catch (IOException error) {
        throw new IllegalStateException(error);
      }
      byte[] identity = identity();
      if (ids.get(identity) == null) {
        ids.put(identity, THERE);
        add();
      }
      done.incrementAndGet();
    }

    private void read(byte[] bytes) throws IOException {
      try (JsonParser parser = json.createParser(bytes)) {
        parser.nextToken();
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
          String name = parser.currentName();
          parser.nextToken();
          switch (name) {
            case "id" -> id = parser.getText();
            case "source" -> source = parser.getText();
            case "subscription" -> subscription = parser.getText();
            case "time" -> time = parser.getText();
            case "data" -> readData(parser);
            default -> parser.skipChildren();
          }
        }
      }
    }

    private void readData(JsonParser parser) throws IOException {
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        boolean isValue = parser.currentName().equals("value");
        parser.nextToken();
        if (isValue) {
          micros = micros(parser.getText());
        } else {
          parser.skipChildren();
        }
      }
    }

    /** Exact: digits to an integer, not through a double. */
    private static long micros(String digits) {
      long whole = 0;
      int decimals = -1;
      for (int i = 0; i < digits.length(); i++) {
        char c = digits.charAt(i);
        if (c == '.') {
          decimals = 0;
          continue;
        }
        whole = whole * 10 + (c - '0');
        decimals = decimals < 0 ? decimals : decimals + 1;
      }
      for (int i = Math.max(decimals, 0); i < 6; i++) {
        whole *= 10;
      }
      return whole;
    }

    /** 128 bits of id and source, by two multiplicative hashes: as cheap as it gets. */
    private byte[] identity() {
      long a = 0xcbf29ce484222325L;
      long b = 0x9e3779b97f4a7c15L;
      for (int i = 0; i < id.length(); i++) {
        a = (a ^ id.charAt(i)) * 0x100000001b3L;
        b = (b + id.charAt(i)) * 0xff51afd7ed558ccdL;
        b ^= b >>> 32;
      }
      for (int i = 0; i < source.length(); i++) {
        a = (a ^ source.charAt(i)) * 0x100000001b3L;
        b = (b + source.charAt(i)) * 0xff51afd7ed558ccdL;
        b ^= b >>> 32;
      }
      return ByteBuffer.allocate(16).putLong(a).putLong(b).array();
    }

    /** 2026-11-24T12:34:56.789Z as hours since the epoch. */
    private static int hour(String time) {
      int year = number(time, 0, 4);
      int month = number(time, 5, 7);
      int day = number(time, 8, 10);
      int y = month <= 2 ? year - 1 : year;
      int era = y / 400;
      int ofEra = y - era * 400;
      int ofYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
      int days = era * 146097 + ofEra * 365 + ofEra / 4 - ofEra / 100 + ofYear - 719468;
      return days * 24 + number(time, 11, 13);
    }

    private static int number(String text, int from, int to) {
      int number = 0;
      for (int i = from; i < to; i++) {
        number = number * 10 + text.charAt(i) - '0';
      }
      return number;
    }

    private void add() {
      byte[] name = subscription.getBytes(StandardCharsets.ISO_8859_1);
      byte[] key = ByteBuffer.allocate(name.length + 4).putInt(hour(time)).put(name).array();
      byte[] old = hours.get(key);
      ByteBuffer sum = ByteBuffer.allocate(16);
      ByteBuffer before = old == null ? null : ByteBuffer.wrap(old);
      sum.putLong((before == null ? 0 : before.getLong()) + 1);
      sum.putLong((before == null ? 0 : before.getLong()) + micros);
      hours.put(key, sum.array());
    }

    /** What the stores say at the end, to be compared. */
    @Override
    public void close() {
      try (var all = hours.all()) {
        while (all.hasNext()) {
          var row = all.next();
          ByteBuffer value = ByteBuffer.wrap(row.value);
          String name = new String(row.key, 4, row.key.length - 4, StandardCharsets.ISO_8859_1);
          long count = value.getLong();
          long sum = value.getLong();
          totals.merge(name, new long[] {count, sum}, (x, y) -> new long[] {x[0] + y[0], x[1] + y[1]});
        }
      }
    }
  }

  static Topology topology(String topic) {
    Topology topology = new Topology();
    Map<String, String> log = new HashMap<>();
    log.put("segment.bytes", "536870912");
    topology.addSource("events", Serdes.ByteArray().deserializer(), Serdes.ByteArray().deserializer(), topic);
    topology.addProcessor("count", Counter::new, "events");
    topology.addStateStore(
        Stores.keyValueStoreBuilder(
                Stores.persistentKeyValueStore("ids"), Serdes.ByteArray(), Serdes.ByteArray())
            .withCachingDisabled()
            .withLoggingEnabled(log),
        "count");
    topology.addStateStore(
        Stores.keyValueStoreBuilder(
                Stores.persistentKeyValueStore("hours"), Serdes.ByteArray(), Serdes.ByteArray())
            .withCachingEnabled()
            .withLoggingEnabled(log),
        "count");
    return topology;
  }

  static Properties settings(String brokers, String application, String state) {
    Properties p = new Properties();
    p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
    p.put(StreamsConfig.APPLICATION_ID_CONFIG, application);
    p.put(StreamsConfig.STATE_DIR_CONFIG, state);
    p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    p.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
    p.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 5000);
    p.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 256L << 20);
    p.put(StreamsConfig.ROCKSDB_CONFIG_SETTER_CLASS_CONFIG, Rocks.class);
    p.put(StreamsConfig.METRICS_RECORDING_LEVEL_CONFIG, "INFO");
    p.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    p.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 5000);
    p.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
    p.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 10000);
    p.put(StreamsConfig.consumerPrefix(ConsumerConfig.FETCH_MAX_BYTES_CONFIG), 8 << 20);
    p.put(StreamsConfig.consumerPrefix(ConsumerConfig.CHECK_CRCS_CONFIG), false);
    p.put(StreamsConfig.producerPrefix("batch.size"), 1 << 20);
    p.put(StreamsConfig.producerPrefix("linger.ms"), 50);
    p.put(StreamsConfig.producerPrefix("buffer.memory"), 128L << 20);
    return p;
  }

  public static void main(String[] words) throws Exception {
    long events = Long.parseLong(words[4]);
    Path progress = Path.of(words[5]);
    KafkaStreams streams =
        new KafkaStreams(topology(words[1]), settings(words[0], words[2], words[3]));
    streams.setUncaughtExceptionHandler(
        error -> {
          error.printStackTrace();
          Runtime.getRuntime().halt(1);
          return null;
        });
    streams.start();
    while (done.get() < events) {
      Thread.sleep(50);
      Files.writeString(progress, done.get() - 1 + "\n");
    }
    Thread.sleep(6000); // the last commit
    Files.writeString(progress, done.get() + "\n");
    System.in.read(); // until its CPU time was read
    streams.close(Duration.ofSeconds(60));
    try (PrintWriter out = new PrintWriter(words[6])) {
      totals.forEach((name, row) -> out.println(name + " " + row[0] + " " + row[1]));
    }
  }
}
