/*
 * HL7's FHIR validator, offline, over many files in one start.
 *
 * Arguments: DEFINITIONS PROFILES FILES, each a text file with one path a line.
 *
 * DEFINITIONS are our profiles, value sets and code systems. They stand first in the chain, so that a fragment of a code system that is
 * newer than FHIR 4.0.1 wins over the old one. For each issue of FILES one JSON line {"file","severity","location","id","message"}; for
 * each StructureDefinition of PROFILES one {"file","snapshot"}; last line {"validated": n}.
 */
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.context.support.ValidationSupportContext;
import ca.uhn.fhir.parser.IParser;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.SingleValidationMessage;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.PrePopulatedValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.SnapshotGeneratingValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;
import org.hl7.fhir.instance.model.api.IBaseResource;
import org.hl7.fhir.r4.model.CodeSystem;
import org.hl7.fhir.r4.model.StructureDefinition;
import org.hl7.fhir.r4.model.ValueSet;

public class Validator {
  private static final ObjectMapper json = new ObjectMapper();

  public static void main(String[] arguments) throws Exception {
    FhirContext context = FhirContext.forR4();
    IParser parser = context.newJsonParser();
    PrePopulatedValidationSupport own = new PrePopulatedValidationSupport(context);
    for (String path : Files.readAllLines(Path.of(arguments[0]))) {
      IBaseResource resource = parser.parseResource(Files.readString(Path.of(path)));
      if (resource instanceof StructureDefinition definition) {
        // Always from the differential: a stale committed snapshot must not be what is tested against.
        definition.setSnapshot(null);
        own.addStructureDefinition(definition);
      } else if (resource instanceof ValueSet set) {
        own.addValueSet(set);
      } else if (resource instanceof CodeSystem system) {
        own.addCodeSystem(system);
      } else {
        throw new IllegalArgumentException(path + " is no StructureDefinition, ValueSet or CodeSystem");
      }
    }
    ValidationSupportChain chain =
        new ValidationSupportChain(
            own,
            new DefaultProfileValidationSupport(context),
            new CommonCodeSystemsTerminologyService(context),
            new InMemoryTerminologyServerValidationSupport(context),
            new SnapshotGeneratingValidationSupport(context));
    FhirInstanceValidator instance = new FhirInstanceValidator(chain);
    FhirValidator validator = context.newValidator().registerValidatorModule(instance);
    int seen = 0;
    for (String file : Files.readAllLines(Path.of(arguments[2]))) {
      for (SingleValidationMessage message : validator.validateWithResult(Files.readString(Path.of(file))).getMessages()) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("file", file);
        line.put("severity", message.getSeverity().getCode());
        line.put("location", message.getLocationString());
        line.put("id", message.getMessageId());
        line.put("message", message.getMessage());
        System.out.println(json.writeValueAsString(line));
      }
      seen++;
    }
    for (String file : Files.readAllLines(Path.of(arguments[1]))) {
      writeSnapshot(file, (StructureDefinition) parser.parseResource(Files.readString(Path.of(file))), chain, parser);
    }
    System.out.println(json.writeValueAsString(Map.of("validated", seen)));
  }

  private static void writeSnapshot(String file, StructureDefinition definition, ValidationSupportChain chain, IParser parser)
      throws Exception {
    definition.setSnapshot(null);
    StructureDefinition whole =
        (StructureDefinition) chain.generateSnapshot(new ValidationSupportContext(chain), definition, definition.getUrl(), null, definition.getName());
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("file", file);
    line.put("snapshot", json.readTree(parser.encodeResourceToString(whole)).get("snapshot"));
    System.out.println(json.writeValueAsString(line));
  }
}
