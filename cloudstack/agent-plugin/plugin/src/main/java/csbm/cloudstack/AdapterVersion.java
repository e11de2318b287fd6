package csbm.cloudstack;

/** Version of the jar, from its manifest. */
final class AdapterVersion {
    static final String TEXT = read();

    private AdapterVersion() {
    }

    private static String read() {
        String version = AdapterVersion.class.getPackage().getImplementationVersion();
        return version == null ? "unpacked" : version;
    }
}
