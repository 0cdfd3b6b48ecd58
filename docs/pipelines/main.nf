// Fit, sample, evaluate, and stop when the synthetic rows fall short.
//
//   nextflow run main.nf --data expr.h5ad --label celltype --rows 5000
//
// GATE ends with exit code 3 when a threshold is missed; by then EVALUATE has published the report.

params.data = 'expr.h5ad'
params.label = 'celltype'
params.rows = 5000
params.model = 'auto'
params.genes = 2000
params.seed = 0
params.require = ['tstr_ratio>=0.95', 'discriminator.rf_pcs<=0.65']

process FIT {
    cpus 2
    input:
    path expr
    output:
    path 'model.augment'
    script:
    """
    augment fit ${expr} --label '${params.label}' --model ${params.model} --genes ${params.genes} --seed ${params.seed}
    """
}

process SAMPLE {
    publishDir 'results', mode: 'copy'
    input:
    path model
    output:
    path 'synthetic.h5ad'
    script:
    """
    augment sample ${model} -n ${params.rows} --seed ${params.seed}
    """
}

process EVALUATE {
    cpus 2
    publishDir 'results', mode: 'copy'
    input:
    path synthetic
    path expr
    path model
    output:
    path 'report.html', emit: html
    path 'report.json', emit: json
    path '*_mqc.json', emit: multiqc
    script:
    """
    augment evaluate ${synthetic} --real ${expr} --artifact ${model} --label '${params.label}' \
        --seed ${params.seed} --multiqc augmentor_mqc.json
    """
}

process GATE {
    errorStrategy 'terminate'
    input:
    path json
    script:
    def require = params.require.collect { "--require '${it}'" }.join(' ')
    """
    augment report ${json} ${require}
    """
}

workflow {
    expr = Channel.fromPath(params.data, checkIfExists: true)
    model = FIT(expr)
    synthetic = SAMPLE(model)
    EVALUATE(synthetic, expr, model)
    GATE(EVALUATE.out.json)
}
