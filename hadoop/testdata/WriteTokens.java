// Writes tokens.v0 and tokens.v1 with Hadoop's own classes: java -cp 'JARS/*' WriteTokens.java FOLDER
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.io.Text;
import org.apache.hadoop.security.Credentials;
import org.apache.hadoop.security.token.Token;
import org.apache.hadoop.security.token.TokenIdentifier;

public class WriteTokens {
  static Token<TokenIdentifier> token(byte[] identifier, byte[] password, String kind, String service) {
    return new Token<>(identifier, password, new Text(kind), new Text(service));
  }
  public static void main(String[] folder) throws Exception {
    byte[] bytes = new byte[300];
    for (int i = 0; i < bytes.length; i++) bytes[i] = (byte) i;
    Credentials credentials = new Credentials();
    credentials.addToken(new Text(""), token("id".getBytes(), "password".getBytes(), "YARN_AM_RM_TOKEN", ""));
    credentials.addToken(new Text("nm"), token(bytes, Arrays.copyOf(bytes, 200), "NMToken", "127.0.0.1:8041"));
    credentials.addSecretKey(new Text("geheim-ä"), "secret".getBytes(StandardCharsets.UTF_8));
    Configuration configuration = new Configuration();
    Path base = new Path("file://" + folder[0]);
    credentials.writeTokenStorageFile(new Path(base, "tokens.v0"), configuration, Credentials.SerializedFormat.WRITABLE);
    credentials.writeTokenStorageFile(new Path(base, "tokens.v1"), configuration, Credentials.SerializedFormat.PROTOBUF);
  }
}
