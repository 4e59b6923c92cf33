// What Hadoop's own client does in the benchmark of HDFS: writes or reads files, one a thread, a MiB at a time.
//
//   java -cp CONF:'JARS/*' HdfsIo write|read FOLDER MIB STREAMS
//   java -cp CONF:'JARS/*' HdfsIo checksum FILE
//
// A file is one MiB of noise again and again, each with its number in front (little endian).
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

public class HdfsIo {
  static final int MIB = 1 << 20;

  public static void main(String[] args) throws Exception {
    FileSystem files = FileSystem.get(new Configuration());
    if (args[0].equals("checksum")) {
      System.out.println("checksum=" + files.getFileChecksum(new Path(args[1])).toString().replace(' ', '_'));
      return;
    }
    int mib = Integer.parseInt(args[2]);
    int streams = Integer.parseInt(args[3]);
    long start = System.nanoTime();
    List<Thread> threads = new ArrayList<>();
    Throwable[] failed = new Throwable[1];
    for (int i = 0; i < streams; i++) {
      Path path = new Path(args[1], "file-" + i);
      Thread thread = new Thread(() -> {
        try {
          if (args[0].equals("write")) write(files, path, mib); else read(files, path, mib);
        } catch (Throwable error) {
          failed[0] = error;
        }
      });
      thread.start();
      threads.add(thread);
    }
    for (Thread thread : threads) thread.join();
    if (failed[0] != null) throw new Exception(failed[0]);
    System.out.println("seconds=" + (System.nanoTime() - start) / 1e9);
  }

  static byte[] noise() {
    ByteBuffer buffer = ByteBuffer.allocate(MIB).order(ByteOrder.LITTLE_ENDIAN);
    long state = 0x9e3779b97f4a7c15L;
    while (buffer.hasRemaining()) {
      state = state * 6364136223846793005L + 1442695040888963407L;
      buffer.putLong(state ^ (state >>> 29));
    }
    return buffer.array();
  }

  static void write(FileSystem files, Path path, int mib) throws Exception {
    byte[] bytes = noise();
    ByteBuffer number = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    try (FSDataOutputStream out = files.create(path, true)) {
      for (int i = 0; i < mib; i++) {
        number.putLong(0, i);
        out.write(bytes);
      }
    }
  }

  static void read(FileSystem files, Path path, int mib) throws Exception {
    byte[] bytes = new byte[MIB];
    ByteBuffer number = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    try (FSDataInputStream in = files.open(path)) {
      for (int i = 0; i < mib; i++) {
        in.readFully(bytes);
        if (number.getLong(0) != i) throw new Exception(path + ": MiB " + i + " is MiB " + number.getLong(0));
      }
      if (in.read() != -1) throw new Exception(path + " is longer than " + mib + " MiB");
    }
  }
}
