import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.SplittableRandom;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.SparkConf;

/** Estimates pi by throwing points at a square: spark-submit --class SparkPi spark-pi.jar [PARTITIONS]. */
public final class SparkPi {
    private static final int POINTS = 200_000;

    private SparkPi() {
    }

    public static void main(String[] arguments) {
        int partitions = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 6;
        List<Integer> seeds = IntStream.range(0, partitions).boxed().collect(Collectors.toList());
        try (JavaSparkContext context = new JavaSparkContext(new SparkConf().setAppName("SparkPi"))) {
            long inside = context.parallelize(seeds, partitions).map(SparkPi::inside).reduce(Long::sum);
            long hosts = context.parallelize(seeds, partitions).map(seed -> host()).distinct().count();
            System.out.println("Spark " + context.version() + " on " + context.master() + ", hosts: " + hosts);
            System.out.println("Pi is roughly " + 4.0 * inside / ((long) POINTS * partitions));
        }
    }

    /** The points of one partition that fall into the circle; equal seeds throw equal points. */
    private static long inside(int seed) {
        SplittableRandom random = new SplittableRandom(seed);
        return IntStream.range(0, POINTS)
                .filter(point -> Math.hypot(random.nextDouble(), random.nextDouble()) <= 1)
                .count();
    }

    private static String host() throws java.io.IOException {
        return java.net.InetAddress.getLocalHost().getHostName();
    }
}
