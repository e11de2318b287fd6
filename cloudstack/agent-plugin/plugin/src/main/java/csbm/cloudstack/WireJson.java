package csbm.cloudstack;

import com.cloud.agent.api.Answer;
import com.cloud.agent.api.Command;
import com.cloud.serializer.GsonHelper;
import com.google.gson.JsonParseException;

/**
 * Commands and answers as text, by the management server's own codec: so every class and type adapter of the release it runs in is known,
 * and the text is what stands in a frame on port 8250.
 */
final class WireJson {
    private WireJson() {
    }

    static String command(Command command) {
        return GsonHelper.getGson().toJson(new Command[] {command}, Command[].class);
    }

    /** @throws ServiceFailure when the text is not exactly one answer of a class that exists here */
    static Answer answer(String text) throws ServiceFailure {
        return only(parse(text, Answer[].class), Answer.class);
    }

    /** @throws ServiceFailure when the text is not exactly one command of that class */
    static <T extends Command> T command(String text, Class<T> type) throws ServiceFailure {
        return only(parse(text, Command[].class), type);
    }

    private static <T> T parse(String text, Class<T> type) throws ServiceFailure {
        try {
            return GsonHelper.getGson().fromJson(text, type);
        } catch (RuntimeException notOurs) {
            // The codec throws what it likes on wrong input: JsonParseException, ClassCastException, IllegalStateException.
            throw notUnderstood(notOurs instanceof JsonParseException ? notOurs.getMessage() : notOurs.getClass().getSimpleName());
        }
    }

    private static <T> T only(Object[] elements, Class<T> type) throws ServiceFailure {
        if (elements == null || elements.length != 1 || !type.isInstance(elements[0])) {
            throw notUnderstood("not exactly one " + type.getSimpleName());
        }
        return type.cast(elements[0]);
    }

    private static ServiceFailure notUnderstood(String why) {
        return new ServiceFailure(ServiceFailure.Kind.REFUSED, "the bare-metal service's answer was not understood: " + why);
    }

    /**
     * The failed answer to a command, of the class that the management server casts it to: many callers do, without asking. That class is
     * found by its name (StartCommand, StartAnswer), since constructors differ from one to the next; a command without an
     * answer class of its own gets a plain Answer.
     */
    static Answer failure(Command command, String details) {
        String text = "[{\"" + answerClass(command) + "\":{\"result\":false,\"details\":"
                + GsonHelper.getGson().toJson(details) + ",\"contextMap\":{},\"wait\":0}}]";
        return GsonHelper.getGson().fromJson(text, Answer[].class)[0];
    }

    private static String answerClass(Command command) {
        String name = command.getClass().getName();
        if (name.endsWith("Command")) {
            String candidate = name.substring(0, name.length() - "Command".length()) + "Answer";
            try {
                if (Answer.class.isAssignableFrom(Class.forName(candidate, false, command.getClass().getClassLoader()))) {
                    return candidate;
                }
            } catch (ClassNotFoundException none) {
                return Answer.class.getName();
            }
        }
        return Answer.class.getName();
    }
}
