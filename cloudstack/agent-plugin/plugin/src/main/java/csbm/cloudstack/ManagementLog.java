package csbm.cloudstack;

import java.lang.reflect.Method;

import com.cloud.utils.component.ComponentLifecycleBase;

/**
 * Writes to the management server's own log. Up to 4.19 that is Log4j 1, from 4.20 on Log4j 2, and one jar serves both: so the logger is
 * found by reflection, and where there is neither the lines go to the JDK's.
 */
final class ManagementLog {
    /** What a logger of one library needs: its object, and its method for each level. */
    private final Object logger;
    private final Method info;
    private final Method warn;
    private final System.Logger fallback;

    private ManagementLog(Object logger, Method info, Method warn, System.Logger fallback) {
        this.logger = logger;
        this.info = info;
        this.warn = warn;
        this.fallback = fallback;
    }

    static ManagementLog of(Class<?> owner) {
        try {
            // The classes of both libraries may be present; only one is configured, and CloudStack's base class tells which.
            return hasLog4j2Field() ? log4j2(owner) : log4j1(owner);
        } catch (ReflectiveOperationException absent) {
            return new ManagementLog(null, null, null, System.getLogger(owner.getName()));
        }
    }

    private static boolean hasLog4j2Field() {
        try {
            return ComponentLifecycleBase.class.getDeclaredField("logger").getType().getName().startsWith("org.apache.logging.");
        } catch (NoSuchFieldException older) {
            return false;
        }
    }

    static ManagementLog log4j2(Class<?> owner) throws ReflectiveOperationException {
        Class<?> type = Class.forName("org.apache.logging.log4j.Logger");
        Object logger = Class.forName("org.apache.logging.log4j.LogManager").getMethod("getLogger", Class.class).invoke(null, owner);
        return new ManagementLog(logger, type.getMethod("info", String.class), type.getMethod("warn", String.class), null);
    }

    static ManagementLog log4j1(Class<?> owner) throws ReflectiveOperationException {
        Class<?> type = Class.forName("org.apache.log4j.Logger");
        Object logger = type.getMethod("getLogger", Class.class).invoke(null, owner);
        return new ManagementLog(logger, type.getMethod("info", Object.class), type.getMethod("warn", Object.class), null);
    }

    void info(String text) {
        write(info, System.Logger.Level.INFO, text);
    }

    void warn(String text) {
        write(warn, System.Logger.Level.WARNING, text);
    }

    private void write(Method method, System.Logger.Level level, String text) {
        if (fallback != null) {
            fallback.log(level, text);
            return;
        }
        try {
            method.invoke(logger, text);
        } catch (ReflectiveOperationException broken) {
            throw new IllegalStateException("the management server's log refused a line", broken);
        }
    }
}
