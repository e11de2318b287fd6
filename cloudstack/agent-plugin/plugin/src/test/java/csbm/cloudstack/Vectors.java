package csbm.cloudstack;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

import com.google.gson.JsonParser;

/** Bodies of frames that CloudStack's own classes wrote: test/golden/vectors of the repository. */
final class Vectors {
    private Vectors() {
    }

    static String json(String name) throws IOException {
        // Maven runs tests in the module's folder.
        Path file = Path.of("../../../test/golden/vectors/cloudstack-agent", name + ".json");
        return JsonParser.parseString(Files.readString(file)).getAsJsonObject().get("json").getAsString();
    }
}
