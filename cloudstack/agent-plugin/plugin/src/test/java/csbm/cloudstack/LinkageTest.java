package csbm.cloudstack;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import org.junit.jupiter.api.Test;
import org.objectweb.asm.ClassReader;
import org.objectweb.asm.ClassVisitor;
import org.objectweb.asm.FieldVisitor;
import org.objectweb.asm.MethodVisitor;
import org.objectweb.asm.Opcodes;

/**
 * The jar is compiled against stubs, so what it needs of the real classes must be known, and grow only on purpose: every name and signature here is one that was
 * looked up in CloudStack's sources.
 */
class LinkageTest {
    @Test
    void needsNothingButWhatWasLookedUp() throws Exception {
        SortedSet<String> needed = new TreeSet<>();
        classes().forEach(file -> read(file).accept(new Collector(needed), 0));
        List<String> known = Files.readAllLines(Path.of("src/test/resources/needed-of-cloudstack.txt")).stream()
                .filter(line -> !line.isBlank() && !line.startsWith("#")).collect(Collectors.toList());
        assertEquals(String.join("\n", known), String.join("\n", needed));
    }

    @Test
    void runsOnJava11() throws Exception {
        for (Path file : classes().collect(Collectors.toList())) {
            assertEquals(Opcodes.V11, read(file).readUnsignedShort(6), file.toString());
        }
    }

    private static Stream<Path> classes() throws IOException {
        return Files.walk(Path.of("target/classes")).filter(file -> file.toString().endsWith(".class"));
    }

    private static ClassReader read(Path file) {
        try {
            return new ClassReader(Files.readAllBytes(file));
        } catch (IOException unreadable) {
            throw new UncheckedIOException(unreadable);
        }
    }

    private static final class Collector extends ClassVisitor {
        private final SortedSet<String> needed;

        Collector(SortedSet<String> needed) {
            super(Opcodes.ASM9);
            this.needed = needed;
        }

        private void add(String owner, String rest) {
            if (!owner.startsWith("java") && !owner.startsWith("csbm/") && !owner.startsWith("[")) {
                needed.add(owner + rest);
            }
        }

        @Override
        public void visit(int version, int access, String name, String signature, String superName, String[] interfaces) {
            add(superName, "");
            for (String each : interfaces) {
                add(each, "");
            }
        }

        @Override
        public FieldVisitor visitField(int access, String name, String descriptor, String signature, Object value) {
            return null;
        }

        @Override
        public MethodVisitor visitMethod(int access, String name, String descriptor, String signature, String[] exceptions) {
            return new MethodVisitor(Opcodes.ASM9) {
                @Override
                public void visitMethodInsn(int opcode, String owner, String called, String calledDescriptor, boolean isInterface) {
                    // Calls of our own objects reach the superclass's methods too.
                    add(owner, (isInterface ? " interface " : " ") + called + calledDescriptor);
                }

                @Override
                public void visitFieldInsn(int opcode, String owner, String field, String fieldDescriptor) {
                    add(owner, " " + field + " " + fieldDescriptor);
                }

                @Override
                public void visitTypeInsn(int opcode, String type) {
                    add(type, "");
                }

                @Override
                public void visitLdcInsn(Object value) {
                    add(value instanceof org.objectweb.asm.Type ? ((org.objectweb.asm.Type) value).getInternalName() : "java", "");
                }
            };
        }
    }
}
